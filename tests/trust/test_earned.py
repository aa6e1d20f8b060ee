import json

import numpy as np
import pytest
from scipy.stats import binom

from tfautolabel.trust.earned import Earned, judge


def probabilities(predicted, confidence, k):
    """(n, k) with the confidence at the predicted class."""
    confidence = np.broadcast_to(np.asarray(confidence, float), len(predicted))
    rest = np.repeat(((1 - confidence) / (k - 1))[:, None], k, axis=1)
    rest[np.arange(len(predicted)), predicted] = confidence
    return rest.astype(np.float32)


def judged(truth, predicted, confidence=0.9, k=3, **options):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    options = {"refused": np.zeros(len(truth), bool), "min_confidence": 0.8} | options
    return judge(probabilities(predicted, confidence, k), truth, **options)


def test_the_test_against_one_class_is_the_exact_one_of_discordant_pairs():
    truth = np.array([0] * 10 + [1] * 8 + [2] * 2)
    predicted = np.array([0] * 9 + [1] + [1] * 7 + [0] + [2, 0])
    found = judged(truth, predicted)
    assert (found.right, found.commonest, found.commonest_count) == (17, 0, 10)
    assert found.p_value == pytest.approx(binom.sf(7, 9, 0.5))
    assert found.better_than_one_class
    assert not found.nothing


@pytest.mark.parametrize("counts", [(10, 1, 1), (20, 3, 1), (4, 4, 4)])
def test_the_commonest_class_for_all_accepts_nothing(counts):
    truth = np.repeat([0, 1, 2], counts)
    found = judged(truth, np.zeros_like(truth))
    assert found.p_value == 1.0
    assert found.refused().all()
    assert found.sentences(["brick", "grass", "gravel"])[0].startswith(
        "nothing is accepted, because the labels"
    )


def test_errors_lost_to_chance_count_as_much_as_those_won():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 60)
    passes = []
    for _ in range(300):
        # Right as often as the commonest class is, and on other examples.
        predicted = np.where(rng.random(60) < 0.5, truth, 1 - truth)
        passes.append(judged(truth, predicted, k=2).better_than_one_class)
    assert np.mean(passes) < 0.05


def test_a_class_with_one_label_is_named_and_refused():
    truth = np.array([0] * 9 + [1] * 9 + [2])
    found = judged(truth, np.array([0] * 9 + [1] * 9 + [0]))
    assert found.unjudged == (2,)
    assert found.refused().tolist() == [False, False, True]
    assert found.floor == 0.0
    assert found.sentences(["a", "b", "c"]) == ["nothing is accepted of c: one label cannot be judged"]


def test_held_out_labels_that_are_wrong_more_often_than_they_say_raise_the_floor():
    truth = np.array([0, 1] * 30)
    predicted, confidence = truth.copy(), np.tile([0.99, 0.99, 0.85, 0.85], 15)
    wrong = np.flatnonzero(confidence == 0.85)[:12]
    predicted[wrong] = 1 - predicted[wrong]
    found = judged(truth, predicted, confidence, k=2)
    assert found.floor == pytest.approx(0.99)
    assert found.lowest(0.8) == found.floor
    assert found.sentences(["a", "b"])[0].startswith("only labels with a confidence of at least 0.990")
    assert judged(truth, predicted, confidence, k=2, min_confidence=0.95).floor == 0.0
    unlike = np.isin(np.arange(60), wrong)
    assert judged(truth, predicted, confidence, k=2, refused=unlike).floor == 0.0
    assert judged(truth, truth, confidence, k=2).floor == 0.0


def test_where_the_surest_are_wrong_nothing_is_accepted():
    truth = np.array([0, 1] * 30)
    predicted, confidence = truth.copy(), np.full(60, 0.9)
    confidence[:] = 0.97
    confidence[:8], predicted[:8] = 0.999, 1 - truth[:8]
    found = judged(truth, predicted, confidence, k=2)
    assert found.floor == np.inf
    assert found.nothing
    assert "wrong more often than they say" in found.sentences(["a", "b"])[0]
    assert Earned.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_without_a_gate_nothing_is_accepted():
    truth = np.array([0, 1, 2] * 3)
    found = judged(truth, truth, guarded=False)
    assert found.nothing
    assert "nothing guards against kinds that have no label" in found.sentences(["a", "b", "c"])[0]


def test_the_advice_names_the_classes_with_the_fewest_labels():
    found = judged(np.repeat([0, 1, 2], (10, 1, 2)), np.zeros(13, int))
    assert "first of the classes with the fewest labels: b (1), c (2)" in found.advice(["a", "b", "c"])
    equal = judged(np.repeat([0, 1, 2], 4), np.zeros(12, int))
    assert "more of every class; each has 4" in equal.advice(["a", "b", "c"])


def test_only_the_drawn_ones_tell_how_often_labels_are_right():
    """Chosen examples are hard ones: their errors say nothing about the confidences of the others."""
    truth = np.array([0, 1] * 40)
    wrong = np.arange(80) < 20  # the chosen ones, sure and wrong
    predicted = np.where(wrong, 1 - truth, truth)
    drawn = np.arange(80) >= 50
    assert judged(truth, predicted, k=2).floor > 0.0
    by_drawn = judged(truth, predicted, k=2, drawn=drawn)
    assert (by_drawn.floor, by_drawn.drawn) == (0.0, 30)
    assert by_drawn.labels == 80  # that it learnt something is shown by all


def test_without_a_drawn_one_nothing_is_accepted():
    truth = np.array([0, 1] * 20)
    found = judged(truth, truth, k=2, drawn=np.zeros(40, bool))
    assert found.nothing
    assert "no labelled example was drawn at random" in found.sentences(["a", "b"])[0]
    assert Earned.from_dict(found.to_dict()) == found


def test_records_of_before_are_read():
    truth = np.array([0, 1] * 20)
    entries = judged(truth, truth, k=2).to_dict()
    del entries["drawn"]
    assert Earned.from_dict(entries) == judged(truth, truth, k=2)
