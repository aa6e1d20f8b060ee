"""Votes at prediction: when they count, and that all labels then follow them."""

import numpy as np
import pytest
from hub_modules import make_text_module

import tfautolabel as tal
from tfautolabel.export.numeric import NumericModel
from tfautolabel.heads import LinearHead
from tfautolabel.labeler.votes_to_head import learn_from_votes, soft_labels
from tfautolabel.labeler.voting import Voters
from tfautolabel.rules import LabelModel

CLASSES = ["bad", "good"]
RULES = "label,pattern\ngood,superb\nbad,dreadful\ngood,never here\n"
K, D, NAMES = 2, 6, ("a", "b", "c", "d")
OF_CLASS = np.array([0, 1, 0, 1])


def data(n, seed, accuracy=0.97, told=0.3):
    """Features that tell little, and votes of rules that know more."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, K, n)
    x = (np.where(truth == 1, told, -told)[:, None] + rng.normal(size=(n, D))).astype(np.float32)
    right = rng.random((n, 4)) < accuracy
    fires = (np.where(right, truth[:, None], 1 - truth[:, None]) == OF_CLASS) & (rng.random((n, 4)) < 0.4)
    return x, truth, np.where(fires, OF_CLASS, -1)


def learnt(labels=120, accuracy=0.97, columns=(0, 1, 2, 3)):
    x, _, votes = data(400, 1, accuracy)
    gold_x, gold, of_gold = data(labels, 2, accuracy)
    head = LinearHead(D, K)
    head.compile()
    voters = Voters(np.array(columns), OF_CLASS[list(columns)], of_gold[:, list(columns)], NAMES)
    return head, voters, learn_from_votes(head, x, votes, gold_x, gold, voters=voters)


def test_votes_that_held_out_labels_confirm_count():
    head, voters, found = learnt()
    said = found.record["votes"]
    assert said["count"]
    assert said["accuracies"]["with"] >= said["accuracies"]["without"]
    assert "agrees, the votes on an example count for its label too" in said["why"]
    x, truth, votes = data(2_000, 3)
    alone = np.asarray(head(x))
    mixed = np.asarray(found.mixing(alone, head.normalization(x), votes))
    rows = np.arange(len(truth))
    assert -np.log(mixed[rows, truth]).mean() < -np.log(alone[rows, truth]).mean() - 0.01
    assert (mixed.argmax(axis=1) == truth).mean() > (alone.argmax(axis=1) == truth).mean()
    # What is calibrated and certified are the probabilities with votes.
    silent = Voters(voters.columns, voters.class_ids, np.full_like(voters.votes, -1), NAMES)
    assert found.out_of_fold.shape == (120, K)
    again = LinearHead(D, K)
    again.compile()
    x, _, votes = data(400, 1)
    gold_x, gold, _ = data(120, 2)
    without = learn_from_votes(again, x, votes, gold_x, gold, voters=silent)
    assert without.mixing is None
    assert not np.allclose(without.out_of_fold, found.out_of_fold)
    assert "show no gain" in without.record["votes"]["why"]


def test_the_votes_say_what_the_soft_labels_do():
    _, voters, found = learnt()
    model = LabelModel(K).fit(data(400, 1)[2])
    soft, covered = soft_labels(model, voters.votes)
    said, counted = found.mixing.said(voters.votes)
    np.testing.assert_allclose(said, soft, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(counted)[:, 0] > 0, covered)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"labels": 40}, "fewer than 50 labels cannot tell"),
        ({"columns": (0, 2, 3)}, "rules that count cannot be in the model: 'b'"),
    ],
    ids=["few labels", "a rule that the model lacks"],
)
def test_else_labels_do_not_depend_on_votes_and_it_says_why(options, why):
    _, _, found = learnt(**options)
    said = found.record["votes"]
    assert (said["count"], found.mixing) == (False, None)
    assert why in said["why"]
    assert said["why"].startswith("labels do not depend on the votes in the model")


def test_where_labels_alone_are_best_there_is_nothing_to_count():
    x, _, votes = data(400, 1, accuracy=0.8, told=1.0)
    gold_x, gold, of_gold = data(120, 2, accuracy=0.8, told=1.0)
    head = LinearHead(D, K)
    head.compile()
    voters = Voters(np.arange(4), OF_CLASS, of_gold, NAMES)
    found = learn_from_votes(head, x, votes, gold_x, gold, voters=voters)
    assert found.record["way"] == "labels"
    assert found.record["votes"]["why"].endswith("the rules add nothing")
    assert found.mixing is None


def texts(n, seed):
    """Texts with a word that the backbone knows and does not tell much, and one that only rules know."""
    rng = np.random.default_rng(seed)
    found, truth = [], rng.integers(0, 2, n)
    for one in truth.tolist():
        known = ("bad", "good")[one if rng.random() < 0.8 else 1 - one]
        word = ("dreadful", "superb")[one if rng.random() < 0.95 else 1 - one] if rng.random() < 0.6 else ""
        found.append(f"the film {known} {word} {rng.integers(1_000_000)}")
    return found, [CLASSES[one] for one in truth.tolist()]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voting")
    (folder / "rules.csv").write_text(RULES, "utf-8")
    pool = tal.Dataset.from_inputs(texts(200, 1)[0], modality="text")
    graph = tal.rule_graph(folder / "rules.csv", CLASSES, [pool])
    labeler = tal.Labeler(str(make_text_module(folder / "module")), CLASSES, progress=False)
    words, truth = texts(100, 2)
    labeler.fit(tal.Dataset.from_inputs(words, truth, modality="text"), rules=graph, pool=pool)
    return labeler, graph, pool


def test_labels_follow_the_votes_in_python_and_in_the_exported_model(fitted, tmp_path):
    labeler, graph, pool = fitted
    assert labeler.rules_["votes"]["count"]
    with_vote, without = labeler.predict(["the film good superb", "the film good thing"])
    assert with_vote[1] > without[1] + 0.01
    folder = labeler.export(tmp_path / "model" / "1")
    model = tal.load_exported(folder)
    assert model.description["labels_depend_on_votes"]
    ours, theirs = labeler.label(pool), model.label(pool, progress=False)
    np.testing.assert_allclose(theirs.probabilities, ours.probabilities, atol=1e-5)
    np.testing.assert_array_equal(theirs.class_ids, ours.class_ids)
    some = tal.Dataset.from_inputs(*texts(150, 3), modality="text")
    measured = labeler.evaluate(some).accuracy
    labels, truth = model.label_known(some, progress=False)
    assert measured == pytest.approx((labels.probabilities.argmax(axis=1) == truth).mean())
    with pytest.raises(ValueError, match="depend on the votes of rules on the text"):
        NumericModel(folder)
    other = graph.without({graph.names[0]: "gone"})
    with pytest.raises(ValueError, match="labels depend on the votes of the rules"):
        labeler.export(tmp_path / "other" / "1", rules=other)


def test_a_saved_labeler_keeps_its_votes(fitted, tmp_path):
    labeler, _, pool = fitted
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved")
    np.testing.assert_allclose(again.predict(pool), labeler.predict(pool), atol=1e-6)
    assert again.fitted.voting.graph.describe() == labeler.fitted.voting.graph.describe()
    assert again.fitted.voting.graph.examples == labeler.fitted.voting.graph.examples


def test_what_cannot_vote_is_refused(fitted):
    labeler, graph, pool = fitted
    with pytest.raises(ValueError, match="takes features alone"):
        labeler.model  # noqa: B018
    turned = tal.Labeler(labeler.backbone, CLASSES[::-1], progress=False)
    with pytest.raises(ValueError, match="takes the labeler's classes, in its order"):
        turned.fit(None, rules=graph, pool=pool)
    told = tal.Labeler(
        labeler.backbone, CLASSES, descriptions={"bad": ["poor"], "good": ["great"]}, progress=False
    )
    with pytest.raises(ValueError, match="does not hold descriptions as a rule"):
        told.fit(None, rules=graph, pool=pool)
