import numpy as np
import pyarrow as pa
import pytest

from tfautolabel.report.galleries import class_galleries, suspect_gallery, unlike_gallery
from tfautolabel.runs.evidence import Evidence
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
        np.bincount(class_ids, minlength=len(CLASSES)),
        0 if unlike is None else int(np.sum(unlike)),
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


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_gallery_of_given_labels_shows_what_contradicts_them(wrong):
    given = np.array([0, 1] * 20)
    held_out = np.where(given[:, None] == np.arange(2), 0.9, 0.1)
    held_out[:wrong] = held_out[:wrong, ::-1]
    nowhere = np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0)
    evidence = Evidence(tuple(f"item {row}" for row in range(40)), given, held_out, (), *nowhere)
    gallery = suspect_gallery(evidence, CLASSES)
    assert [(item.id, item.label, item.note) for item in gallery.items] == [("item 0", "b", "given: a")][
        :wrong
    ]
    assert gallery.total == wrong
