import tracemalloc

import numpy as np
import pytest

from tfautolabel.heads import LinearHead
from tfautolabel.labeler import votes_to_head
from tfautolabel.labeler.votes_to_head import learn_from_votes, soft_labels
from tfautolabel.rules import LabelModel

K, D = 3, 8


def data(n, noise=1.0, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, n)
    centres = np.random.default_rng(7).normal(size=(K, D)) * 2.0
    return (centres[truth] + noise * rng.normal(size=(n, D))).astype(np.float32), truth


def votes_on(truth, accuracies=(0.85, 0.8, 0.9, 0.75), coverage=0.25, seed=1):
    rng = np.random.default_rng(seed)
    columns = []
    for accuracy in accuracies:
        wrong = (truth + rng.integers(1, K, len(truth))) % K
        vote = np.where(rng.random(len(truth)) < accuracy, truth, wrong)
        columns.append(np.where(rng.random(len(truth)) < coverage, vote, -1))
    return np.stack(columns, axis=1)


def head():
    made = LinearHead(D, K)
    made.compile()
    return made


def right(made, x, truth):
    return float((np.asarray(made(x)).argmax(axis=1) == truth).mean())


@pytest.fixture(scope="module")
def pool():
    x, truth = data(600)
    return x, truth, votes_on(truth)


def none():
    return np.zeros((0, D), np.float32), np.zeros(0, np.int64)


def test_the_head_is_better_than_the_rules_that_taught_it(pool):
    x, truth, votes = pool
    made = head()
    learnt = learn_from_votes(made, x, votes, *none())
    by_rules = LabelModel(K).fit(votes).predict_proba(votes).argmax(axis=1)
    assert right(made, x, truth) > (by_rules == truth).mean() + 0.1
    assert learnt.out_of_fold.shape == (0, K)
    assert (learnt.n_folds, learnt.record["way"]) == (0, "rules")


def test_neither_the_order_of_examples_nor_that_of_rules_matters(pool):
    x, _, votes = pool
    first, second = head(), head()
    learn_from_votes(first, x, votes, *none())
    order = np.random.default_rng(3).permutation(len(x))
    learn_from_votes(second, x[order], votes[order][:, ::-1], *none())
    assert np.allclose(np.asarray(first(x)), np.asarray(second(x)), atol=2e-3)


def test_a_rule_that_says_one_class_of_everything_changes_nothing(pool):
    x, truth, votes = pool
    plain, broad = head(), head()
    learn_from_votes(plain, x, votes, *none())
    learnt = learn_from_votes(broad, x, np.hstack([votes, np.zeros((len(votes), 1), int)]), *none())
    assert right(broad, x, truth) == pytest.approx(right(plain, x, truth), abs=0.01)
    assert list(learnt.record["left_out"]) == ["4"]


def test_soft_labels_are_probabilities_of_what_is_covered(pool):
    _, _, votes = pool
    soft, covered = soft_labels(LabelModel(K).fit(votes), votes)
    assert np.allclose(soft.sum(axis=1), 1.0, atol=1e-5)
    assert np.array_equal(covered, (votes >= 0).any(axis=1))


def test_labels_are_held_out_and_few_of_them_choose_nothing(pool):
    x, _, votes = pool
    gold_x, gold = data(20, seed=5)
    learnt = learn_from_votes(head(), x, votes, gold_x, gold)
    assert learnt.record["way"] == "rules"
    assert list(learnt.record["accuracies"]) == ["rules"]
    assert learnt.out_of_fold.shape == (20, K)
    assert learnt.n_folds == 5
    assert "fewer than 50 labels" in learnt.record["why"]


def test_a_label_is_not_seen_by_the_head_that_judges_it():
    # Labels without any relation to the features: a head that had seen them would still get many right.
    x, truth = data(200)
    rng = np.random.default_rng(2)
    gold_x, _ = data(40, seed=6)
    gold = rng.integers(0, K, 40)
    learnt = learn_from_votes(head(), x, votes_on(truth), gold_x, gold)
    assert (learnt.out_of_fold.argmax(axis=1) == gold).mean() < 0.6


def test_rules_that_add_nothing_are_left_aside(pool):
    x, truth, _ = pool
    rng = np.random.default_rng(4)
    noise = np.where(rng.random((len(x), 4)) < 0.5, rng.integers(0, K, (len(x), 4)), -1)
    gold_x, gold = data(150, seed=8)
    made = head()
    learnt = learn_from_votes(made, x, noise, gold_x, gold)
    assert learnt.record["way"] in ("labels", "agreeing")
    alone = head()
    alone.fit(gold_x, gold)
    assert right(made, x, truth) >= right(alone, x, truth) - 0.02
    assert set(learnt.record["accuracies"]) == {"rules", "agreeing", "labels"}


def test_good_rules_help_few_labels(pool):
    x, truth, votes = pool
    gold_x, gold = data(12, noise=1.5, seed=9)
    together, alone = head(), head()
    learn_from_votes(together, x, votes, gold_x, gold)
    alone.fit(gold_x, gold)
    assert right(together, x, truth) >= right(alone, x, truth)


def test_a_class_that_only_a_person_knows_is_learnt():
    x, truth = data(400)
    votes = votes_on(truth)
    votes[votes == 2] = -1
    gold_x, gold = data(30, seed=11)
    made = head()
    learn_from_votes(made, x, votes, gold_x, gold)
    assert (np.asarray(made(x)).argmax(axis=1) == 2).any()


def test_without_votes_and_labels_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="rules must vote on at least one example"):
        learn_from_votes(head(), np.ones((3, D), np.float32), np.full((3, 2), -1), *none())


def test_a_way_replaces_the_rules_only_beyond_chance():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    sure = np.eye(2)[truth] * 0.8 + 0.1
    little = sure.copy()
    little[:3] = sure[:3, ::-1]
    much = sure.copy()
    much[:25] = sure[:25, ::-1]
    assert votes_to_head._better({"rules": little, "labels": sure}, truth) == "rules"
    assert votes_to_head._better({"rules": much, "labels": sure}, truth) == "labels"


def test_a_rule_is_judged_on_all_examples_where_only_covered_ones_teach():
    # It fires on under half of all examples, but on 9 of 10 that have a vote; without it, class 0 is unknown.
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 1200)
    x = (rng.normal(size=(1200, D)) + 1.5 * truth[:, None]).astype(np.float32)
    first = np.where(rng.random(1200) < np.where(truth == 0, 0.8, 0.1), 0, -1)
    second = np.where(rng.random(1200) < np.where(truth == 1, 0.14, 0.02), 1, -1)
    votes = np.stack([first, second], axis=1)
    rows = np.flatnonzero((votes >= 0).any(axis=1))
    assert (votes[rows, 0] >= 0).mean() > 0.8 > 0.5 > (votes[:, 0] >= 0).mean()
    made = LinearHead(D, 2)
    made.compile()
    learnt = learn_from_votes(made, x[rows], votes[rows], *none(), all_votes=votes)
    assert not learnt.record["left_out"]
    assert right(made, x, truth) > 0.9


@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_labels_are_held_out_too(pool, count):
    x, _, votes = pool
    gold_x, gold = data(count, seed=5)
    learnt = learn_from_votes(head(), x, votes, gold_x, gold)
    assert learnt.out_of_fold.shape == (count, K)
    assert learnt.n_folds == count
    # A head that learns nothing from the rules would say 1 / k.
    assert learnt.out_of_fold.max() > 0.4


@pytest.mark.parametrize("said", [(0,), (0, 1)])
def test_rules_that_say_one_class_of_everything_teach_nothing_without_labels(said):
    votes = np.tile(said, (50, 1))
    with pytest.raises(ValueError, match="a rule must tell examples apart"):
        learn_from_votes(head(), data(50)[0], votes, *none())


@pytest.mark.parametrize("count", [1, 20, 80])
def test_without_a_vote_that_counts_the_rules_add_nothing(count):
    x, _ = data(60)
    gold_x, gold = data(count, seed=5)
    learnt = learn_from_votes(head(), x, np.full((60, 2), -1), gold_x, gold)
    assert learnt.record["why"].startswith("the rules add nothing")
    assert learnt.record["way"] == ("labels" if count == 80 else "rules")


def test_rules_that_are_no_better_than_the_labels_are_not_praised(pool, monkeypatch):
    # Labels and rules are right on equally many: the way stays, the sentence does not claim a gain.
    x, truth = data(200, noise=0.1)
    gold_x, gold = data(60, noise=0.1, seed=5)
    monkeypatch.setattr(votes_to_head, "_better", lambda held_out, class_ids: "rules")
    learnt = learn_from_votes(head(), x, votes_on(truth), gold_x, gold)
    assert learnt.record["accuracies"]["rules"] <= learnt.record["accuracies"]["labels"]
    assert learnt.record["way"] == "rules"
    assert learnt.record["why"].startswith("the rules add nothing")


def test_what_a_rule_is_worth_is_measured_on_labels_that_taught_nothing(pool):
    x, truth, _ = pool
    # Only the last rule knows class 2; the first says what the second says.
    first = np.where(np.random.default_rng(1).random(len(x)) < 0.3, np.where(truth == 2, -1, truth), -1)
    last = np.where((truth == 2) & (np.random.default_rng(2).random(len(x)) < 0.3), 2, -1)
    gold_x, gold = data(60, seed=8)
    learnt = learn_from_votes(head(), x, np.stack([first, first, last], axis=1), gold_x, gold)
    worth = learnt.record["worth"]
    assert worth["all"] > 0.9
    assert worth["without"][0] == pytest.approx(worth["all"], abs=0.05)
    assert worth["without"][2] < worth["all"] - 0.2
    assert learn_from_votes(head(), x, first[:, None], gold_x[:20], gold[:20]).record["worth"] is None
    assert learn_from_votes(head(), x, first[:, None], gold_x, gold).record["worth"]["without"] == [None]


def test_many_classes_do_not_multiply_the_memory():
    rng, k = np.random.default_rng(0), 40
    features = rng.normal(size=(2_000, 256)).astype(np.float32)
    soft = np.full((2_000, k), 1.0 / k)  # each example may be of each class
    nothing = votes_to_head._Gold(features[:0], np.zeros(0, np.int64))
    pool = votes_to_head._Pool(features, soft, np.ones(2_000, bool))
    tracemalloc.start()
    votes_to_head._fit(pool, soft, np.ones(2_000), nothing, k)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * features.nbytes


@pytest.mark.parametrize("count", [20, 60])
def test_rules_that_find_one_class_only_do_not_make_it_the_commonest(count, monkeypatch):
    x, truth = data(900, noise=3.0)
    votes = votes_on(truth, accuracies=(0.95, 0.95, 0.95), coverage=0.6)
    votes[votes != 0] = -1
    gold_x, gold = data(count, noise=3.0, seed=5)
    new_x, new = data(900, noise=3.0, seed=12)
    made, as_covered = head(), head()
    learn_from_votes(made, x, votes, gold_x, gold)
    monkeypatch.setattr(votes_to_head, "with_shares_of", lambda class_ids, found, *_: found)
    learn_from_votes(as_covered, x, votes, gold_x, gold)
    excess = [
        (np.asarray(one(new_x)).argmax(axis=1) == 0).mean() - (new == 0).mean() for one in (made, as_covered)
    ]
    assert 0.0 < excess[0] < excess[1] - 0.05
    assert right(made, new_x, new) > right(as_covered, new_x, new)
