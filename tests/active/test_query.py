"""Queries from a labeler and a data set, with a small network."""

import numpy as np
import pytest
from small_networks import coloured, convolutional

import tfautolabel as tal
from tfautolabel.active import draws_after, random_order
from tfautolabel.data import Dataset


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def labeler(cache):
    return tal.Labeler(convolutional(), ("blue", "green", "red"), cache_dir=cache, progress=False)


@pytest.fixture
def pool():
    """36 pictures of which nine have labels; one file cannot be read."""
    whole = coloured(12)
    inputs = [*whole.read(range(36)), b"no picture"]
    names = [*(whole.classes[i] if row < 9 else None for row, i in enumerate(whole.class_ids)), None]
    return Dataset.from_inputs(inputs, names, ids=[f"{row:02d}.png" for row in range(37)])


def check(found, n):
    assert len(found.rows) == len(found.ids) == len(found.reasons) == len(found.is_random) == n
    assert len(set(found.rows.tolist())) == n
    assert set(found.rows.tolist()) <= set(range(9, 36))
    assert found.ids.tolist() == [f"{row:02d}.png" for row in found.rows]


@pytest.mark.parametrize("strategy", ["uncertainty-herding", "random"])
def test_a_fitted_labeler_asks_what_has_no_label(labeler, pool, strategy):
    labeler.fit(pool.labelled)
    found = tal.query(labeler, pool, 10, strategy=strategy, seed=1)
    check(found, 10)
    assert len({*found.reasons} - {"The model knows nothing about it yet."}) >= 1
    share = 1.0 if strategy == "random" else 0.15
    np.testing.assert_array_equal(found.drawn, random_order(36, 1)[: draws_after(19, share)])
    labelled = np.union1d(np.arange(9), found.rows)
    if strategy != "random":
        assert np.isin(found.drawn, labelled).all()
    assert np.isin(found.rows[found.is_random], found.drawn).all()
    again = tal.query(labeler, pool, 10, strategy=strategy, seed=1)
    np.testing.assert_array_equal(found.rows, again.rows)


def test_what_was_learnt_from_is_not_asked_whatever_it_is_called(labeler, pool):
    labeler.fit(pool.labelled)
    without = Dataset.from_inputs(pool.read(range(36)), ids=[f"{row:02d}.png" for row in range(36)])
    found = tal.query(labeler, without, 100)
    check(found, 27)


def test_from_zero_with_a_labeler_or_only_a_backbone(labeler, pool):
    found = tal.query(labeler, pool, 6, seed=2)
    check(found, 6)
    assert {*found.reasons} == {"The model knows nothing about it yet."}
    alone = tal.query(labeler.backbone, pool, 6, seed=2)
    np.testing.assert_array_equal(found.rows, alone.rows)


def test_labels_elsewhere_are_not_asked_for_again(labeler):
    """What is like the labelled ones comes later than it would without them."""
    pool = coloured(6, first=50)
    blue = pool.class_ids == 0
    empty = Dataset.from_inputs(pool.read(range(18)))
    labelled = coloured(8).subset(np.flatnonzero(coloured(8).class_ids == 0))
    options = {"random_share": 0.0, "strategy": "herding"}
    found = tal.query(labeler, empty, 18, labelled=labelled, **options)
    alone = tal.query(labeler, empty, 18, **options)
    places = [np.flatnonzero(blue[one.rows]).mean() for one in (found, alone)]
    assert places[0] > places[1]


def test_wrong_arguments_are_refused(labeler, pool):
    with pytest.raises(ValueError, match="one question at least"):
        tal.query(labeler, pool, 0)
    with pytest.raises(ValueError, match="a strategy is one of"):
        tal.query(labeler, pool, 3, strategy="entropy")
    with pytest.raises(ValueError, match="all with a label or unreadable"):
        tal.query(labeler, pool.labelled, 3)


@pytest.mark.packaged
def test_with_real_weights(tmp_path):
    pool = Dataset.from_inputs(coloured(4).read(range(12)))
    found = tal.query("packaged:efficientnet-lite0", pool, 3)
    assert len(set(found.rows.tolist())) == 3
