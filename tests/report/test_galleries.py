import numpy as np
import pyarrow as pa
import pytest

from tfautolabel.report.galleries import class_galleries, suspects, unlike_gallery
from tfautolabel.runs.predictions import LabelTable

CLASSES = ("a", "b")


def table(class_ids, confidence, unlike=None, scores=None):
    n = len(class_ids)
    confidence = np.asarray(confidence, np.float32)
    return LabelTable(
        pa.array([f"item {row}" for row in range(n)]),
        np.asarray(class_ids),
        confidence,
        confidence >= 0.8,
        np.zeros(n, bool) if unlike is None else np.asarray(unlike),
        np.zeros(n, np.float32) if scores is None else np.asarray(scores, np.float32),
    )


def test_surest_and_least_sure_never_share_an_item():
    rng = np.random.default_rng(0)
    for count in range(1, 9):
        (row,) = class_galleries(table(np.zeros(count, int), rng.random(count)), CLASSES, per_class=3)
        name, total, surest, least = row
        assert (name, total) == ("a", count)
        shown = [item.id for item in (*surest.items, *least.items)]
        assert len(shown) == len(set(shown)) == min(count, 6)
        sure, unsure = ([item.confidence for item in part.items] for part in (surest, least))
        assert sure == sorted(sure, reverse=True)
        assert unsure == sorted(unsure)
        assert max(unsure, default=0) <= min(sure)


def test_the_commonest_class_comes_first():
    rows = class_galleries(table([0, 1, 1], [0.9, 0.7, 0.95]), CLASSES)
    assert [row[0] for row in rows] == ["b", "a"]
    assert [item.note for item in rows[0][2].items] == ["", "not accepted"]


def test_the_strangest_comes_first():
    gallery = unlike_gallery(table([0, 0, 1], [0.9] * 3, [True, False, True], [0.3, 0.9, 0.5]), CLASSES)
    assert [item.id for item in gallery.items] == ["item 2", "item 0"]
    assert gallery.total == 2


def test_planted_label_errors_are_found():
    rng = np.random.default_rng(0)
    truth = np.arange(300) % 3
    probabilities = np.full((300, 3), 0.05)
    probabilities[np.arange(300), truth] = 0.9
    probabilities += rng.uniform(0, 0.02, probabilities.shape)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    given = truth.copy()
    planted = rng.choice(300, 15, replace=False)
    given[planted] = (given[planted] + 1) % 3
    found = suspects(given, probabilities)
    assert set(found) == set(planted)
    doubts = probabilities[found, given[found]] - probabilities[found].max(axis=1)
    assert (np.diff(doubts) >= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_guesses_suspects_nobody(seed):
    rng = np.random.default_rng(seed)
    assert len(suspects(rng.integers(0, 2, 30), rng.dirichlet(np.ones(2), 30))) == 0
    assert len(suspects(np.zeros(0, np.int64), np.zeros((0, 2)))) == 0
