from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.rules.label_model import LabelModel, MajorityVote, VoteShare, _different_rows

MODELS = (MajorityVote, VoteShare, LabelModel)


def made(accuracies, coverages, k=2, n=4000, seed=0, shares=None):
    """Votes of independent rules on examples whose classes are known."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=shares)
    columns = []
    for accuracy, coverage in zip(accuracies, coverages, strict=True):
        wrong = (truth + rng.integers(1, k, n)) % k
        vote = np.where(rng.random(n) < accuracy, truth, wrong)
        columns.append(np.where(rng.random(n) < coverage, vote, -1))
    return np.stack(columns, axis=1), truth


def right(model, votes, truth):
    """The accuracy on examples with a vote; a tie counts by its share."""
    covered = (votes >= 0).any(axis=1)
    probabilities = model.fit(votes).predict_proba(votes)
    best = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-6
    return float((best[np.arange(len(truth)), truth] / best.sum(axis=1))[covered].mean())


@st.composite
def matrices(draw):
    k = draw(st.integers(2, 4))
    n, m = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    values = draw(st.lists(st.integers(-1, k - 1), min_size=n * m, max_size=n * m))
    return np.array(values).reshape(n, m), k


@pytest.mark.parametrize("model", MODELS)
@given(matrices(), st.randoms())
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_rows_nor_that_of_rules_changes_anything(model, given_, random):
    votes, k = given_
    rows, rules = list(range(len(votes))), list(range(votes.shape[1]))
    random.shuffle(rows)
    random.shuffle(rules)
    probabilities = model(k).fit(votes).predict_proba(votes)
    other = votes[rows][:, rules]
    assert np.allclose(model(k).fit(other).predict_proba(other), probabilities[rows], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
@given(matrices())
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one_and_rows_without_votes_get_the_prior(model, given_):
    votes, k = given_
    prior = np.arange(1, k + 1) / np.arange(1, k + 1).sum()
    probabilities = model(k).fit(votes, class_prior=prior).predict_proba(votes)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert np.allclose(probabilities[(votes < 0).all(axis=1)], prior, atol=1e-6)


@given(matrices())
@settings(max_examples=60, deadline=None)
def test_renaming_classes_renames_the_result(given_):
    votes, k = given_
    turned = np.where(votes >= 0, (votes + 1) % k, -1)
    for model in MODELS:
        here = model(k).fit(votes).predict_proba(votes)
        assert np.allclose(np.roll(here, 1, axis=1), model(k).fit(turned).predict_proba(turned), atol=1e-5)


def test_accuracies_are_found_without_a_label():
    accuracies = np.array([0.95, 0.85, 0.75, 0.65, 0.6])
    votes, truth = made(accuracies, [0.7] * 5, n=20_000)
    model = LabelModel(["a", "b"]).fit(votes)
    # The prior draws them towards .8, but their order is right.
    assert np.argsort(model.accuracies_).tolist() == np.argsort(accuracies).tolist()
    assert right(LabelModel(2), votes, truth) > right(MajorityVote(2), votes, truth) + 0.02


def test_copies_of_a_bad_rule_do_not_outvote_the_good_ones():
    votes, truth = made([0.55, 0.85, 0.85, 0.85], [0.9, 0.6, 0.6, 0.6])
    plain = right(LabelModel(2), votes, truth)
    copied = np.hstack([votes, *[votes[:, :1]] * 5])
    assert right(MajorityVote(2), copied, truth) < plain - 0.1
    assert right(LabelModel(2), copied, truth) == pytest.approx(plain, abs=1e-3)
    once, six = LabelModel(2).fit(votes), LabelModel(2).fit(copied)
    assert six.redundancy_[[0, 4, 5, 6, 7, 8]].sum() == pytest.approx(once.redundancy_[0], abs=1e-3)
    assert np.allclose(six.redundancy_[1:4], once.redundancy_[1:], atol=1e-3)


@pytest.mark.parametrize("k", [2, 12])
def test_a_rule_that_says_one_class_of_everything_is_left_out(k):
    votes, truth = made([0.85] * 8, [0.3] * 8, k=k)
    plain = right(LabelModel(k), votes, truth)
    broad = np.hstack([votes, np.zeros((len(votes), 1), int)])
    model = LabelModel(k).fit(broad)
    assert model.left_out_ == {8: "it says one class of 100% of all examples"}
    covered = (votes >= 0).any(axis=1)
    assert (model.predict_proba(broad).argmax(axis=1) == truth)[covered].mean() >= plain - 1e-9


def one_class_rules(n, shares, m, seed):
    """Votes of rules that know one class each, as keywords do, of unequal use."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(2, n, p=shares)
    votes = np.full((n, m), -1)
    for rule in range(m):
        label, accuracy = rule % 2, rng.uniform(0.5, 1.0)
        rate = min(rng.uniform(0.02, 0.25), 0.8 * shares[label])
        chance = np.where(
            truth == label, rate * accuracy / shares[label], rate * (1 - accuracy) / shares[1 - label]
        )
        votes[rng.random(n) < chance, rule] = label
    return votes, truth, rng


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.3)])
def test_rules_of_one_class_each_do_not_draw_everything_to_one_class(shares):
    gains = []
    for seed in range(6):
        votes, truth, _ = one_class_rules(1500, shares, 16, seed)
        gains.append(right(LabelModel(2), votes, truth) - right(MajorityVote(2), votes, truth))
    assert np.mean(gains) > 0.0
    assert min(gains) > -0.05


@pytest.mark.parametrize("share", [0.5, 0.65, 0.79])
def test_a_rule_that_says_one_class_of_many_at_random_is_no_worse_than_in_a_majority(share):
    gains = []
    for seed in range(6):
        votes, truth, rng = one_class_rules(3000, (0.7, 0.3), 16, seed)
        broad = np.where(rng.random(len(votes)) < share, seed % 2, -1)[:, None]
        stressed = np.hstack([votes, broad])
        model = LabelModel(2)
        gains.append(right(model, stressed, truth) - right(MajorityVote(2), stressed, truth))
        # There are as many examples of a class as its share says: a rule that says it more often errs.
        assert model.accuracies_[-1] <= min(0.5 / share, 0.97) + 0.02
    assert np.mean(gains) > -0.03


def test_a_noisy_rule_of_all_classes_on_every_example_does_not_rule():
    k, n = 12, 3000
    rng = np.random.default_rng(0)
    truth = rng.integers(0, k, n)
    votes = np.full((n, 20), -1)
    for rule in range(20):
        chance = np.where(truth == rule % k, 0.03 * 0.8 * k, 0.03 * 0.2 * k / (k - 1))
        votes[rng.random(n) < chance, rule] = rule % k
    noisy = np.where(rng.random(n) < 0.35, truth, rng.integers(0, k, n))[:, None]
    covered, both = (votes >= 0).any(axis=1), np.hstack([votes, noisy])
    models = [LabelModel(k).fit(given) for given in (votes, both)]
    plain, stressed = (
        (model.predict_proba(given).argmax(axis=1) == truth)[covered].mean()
        for model, given in zip(models, (votes, both), strict=True)
    )
    assert stressed > plain - 0.01
    assert models[1].accuracies_[-1] < 0.55


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.5, 0.5), (0.05, 0.95)])
def test_unequal_classes_do_not_make_it_collapse_to_one_class(shares):
    votes, truth = made([0.8] * 6, [0.5] * 6, shares=shares)
    covered = (votes >= 0).any(axis=1)
    predicted = LabelModel(2).fit(votes).predict_proba(votes)[covered].argmax(axis=1)
    assert abs(predicted.mean() - truth[covered].mean()) < 0.15


def test_gold_rows_teach_how_good_rules_are():
    votes, truth = made([0.1, 0.8], [1.0, 1.0], n=3000)
    without = LabelModel(2).fit(votes).accuracies_
    gold = np.where(np.arange(len(truth)) < 600, truth, -1)
    model = LabelModel(2).fit(votes, gold=gold)
    assert model.accuracies_[1] > without[1] + 0.1
    # A rule worse than chance counts for nothing, and is never turned round.
    assert model.accuracies_[0] == 0.5
    assert model.weights_[0] == 0.0


def test_one_rule_alone_is_enough():
    votes = np.array([[0], [1], [-1]])
    assert LabelModel(2).fit(votes).predict(votes).tolist() == [0, 1, -1]
    assert LabelModel(2).fit(np.zeros((3, 1), int)).left_out_ == {}


def test_ties_abstain_or_are_broken_by_the_seed():
    votes = np.array([[0, 1]] * 400 + [[1, 1], [-1, -1]])
    model = MajorityVote(2).fit(votes)
    assert model.predict(votes).tolist() == [-1] * 400 + [1, -1]
    drawn = model.predict(votes, "random", seed=1)
    assert 120 < drawn[:400].sum() < 280
    assert drawn.tolist() == model.predict(votes, "random", seed=1).tolist()
    assert drawn[400:].tolist() == [1, -1]


def test_a_million_rows_are_as_their_different_ones():
    votes, _ = made([0.8, 0.7, 0.9], [0.5, 0.5, 0.5], n=2000)
    few, many = LabelModel(2).fit(votes), LabelModel(2).fit(np.tile(votes, (40, 1)).astype(np.int8))
    assert np.allclose(few.redundancy_, many.redundancy_)
    assert many.predict_proba(votes.astype(np.int8)).shape == (2000, 2)


@given(
    st.sampled_from([2, 127, 128, 129, 300, 40_000]),
    st.integers(0, 30),
    st.integers(1, 4),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_equal_rows_are_found_for_any_number_of_classes(k, n, m, seed):
    values = np.random.default_rng(seed).choice([-1, 0, k // 2, k - 1], (n, m))
    rows, counts = _different_rows([values[:, :1], values[:, 1:]], k)
    found = {tuple(row): int(count) for row, count in zip(rows.tolist(), counts, strict=True)}
    assert found == Counter(map(tuple, values.tolist()))


def test_refusals():
    with pytest.raises(ValueError, match="at least two classes"):
        LabelModel(["one"])
    with pytest.raises(RuntimeError, match="not fitted yet"):
        LabelModel(2).predict_proba(np.zeros((1, 1), int))
    with pytest.raises(ValueError, match=r"class_prior must be 2 positive numbers"):
        LabelModel(2).fit(np.zeros((1, 1), int), class_prior=[1.0, 0.0])
    with pytest.raises(ValueError, match="gold must be 1 class ids"):
        LabelModel(2).fit(np.zeros((1, 1), int), gold=np.zeros(2, int))
    with pytest.raises(ValueError, match="votes must be of the 2 rules"):
        LabelModel(2).fit(np.zeros((1, 2), int)).predict_proba(np.zeros((1, 1), int))
    with pytest.raises(ValueError, match="tie_break_policy must be"):
        MajorityVote(2).fit(np.zeros((1, 1), int)).predict(np.zeros((1, 1), int), "true-random")
    with pytest.raises(ValueError, match=r"lie in \[-1, 1\]"):
        VoteShare(2).fit(np.full((1, 1), 2))


def test_the_number_of_classes_may_be_a_number_of_numpy():
    votes = np.array([[0, 1], [1, -1]])
    for model in MODELS:
        assert np.array_equal(
            model(np.int64(2)).fit(votes).predict_proba(votes), model(2).fit(votes).predict_proba(votes)
        )
