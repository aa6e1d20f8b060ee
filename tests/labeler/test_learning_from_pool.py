"""A labeler whose head learns from the pool: what it says of that, what it exports, and when it does not."""

import json

import numpy as np
import pytest
from separable import CLASSES
from small_networks import coloured, convolutional

import tfautolabel as tal
from tfautolabel.heads.auto import POOL_ROWS


def of_head(head, cache, **options):
    return tal.Labeler(convolutional(), CLASSES, head, cache_dir=cache, progress=False, **options)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def pool():
    return coloured(340, first=1000)


@pytest.fixture(scope="module")
def labeler(cache, pool):
    labeler = of_head("auto", cache)
    labeler.fit(coloured(8), pool=pool)
    return labeler


def test_the_record_says_what_was_used_and_what_it_was_worth(labeler):
    found = labeler.transfer_["pool"]
    assert (found["level"], found["pool_rows"], found["labels"]) == ("neighbours", 1020, 24)
    assert "points" in found["why"]
    assert "nats" in found["why"]


def test_the_exported_model_gives_what_the_labeler_gives(labeler, pool, tmp_path):
    folder = labeler.export(tmp_path / "model" / "1")
    some = pool.subset(np.arange(20))
    labels = labeler.label(some)
    exported = tal.load_exported(folder).label(some)
    np.testing.assert_allclose(exported.probabilities, labels.probabilities, atol=1e-4)
    written = json.loads(next(folder.rglob("labeler.json")).read_text("utf-8"))
    assert written["transfer"]["pool"] == labeler.transfer_["pool"]


def test_a_saved_labeler_keeps_head_and_record(labeler, pool, tmp_path):
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved")
    np.testing.assert_allclose(again.label(pool).probabilities, labeler.label(pool).probabilities, atol=1e-6)
    assert again.transfer_["pool"] == labeler.transfer_["pool"]
    again.fit(coloured(8), pool=pool)
    np.testing.assert_allclose(again.label(pool).probabilities, labeler.label(pool).probabilities, atol=1e-5)


def test_a_second_fit_without_pool_knows_nothing_of_the_first_pool(cache, pool):
    first, linear = of_head("auto", cache), of_head("linear", cache)
    first.fit(coloured(8), pool=pool)
    first.fit(coloured(8))
    linear.fit(coloured(8))
    np.testing.assert_allclose(first.label(pool).probabilities, linear.label(pool).probabilities, atol=1e-6)
    assert "there is no pool" in first.transfer_["pool"]["why"]


def test_a_small_pool_leaves_the_linear_head_and_says_so(cache, pool):
    labeler = of_head("auto", cache)
    labeler.fit(coloured(8), pool=pool.subset(np.arange(POOL_ROWS - 1)))
    assert labeler.transfer_["pool"]["level"] == "linear"
    assert f"a pool of {POOL_ROWS - 1} says too little" in labeler.transfer_["pool"]["why"]


def test_the_gate_looks_at_the_features_as_they_are(labeler, cache, pool):
    linear = of_head("linear", cache)
    linear.fit(coloured(8), pool=pool)
    np.testing.assert_array_equal(labeler.label(pool).ood_score, linear.label(pool).ood_score)
    assert "pool" not in linear.transfer_


def test_a_backbone_that_may_be_tuned_leaves_the_linear_head(cache, pool):
    labeler = of_head("auto", cache, transfer="auto")
    labeler.fit(coloured(4), pool=pool.subset(np.arange(10)))
    assert "backbone may be tuned" in labeler.transfer_["pool"]["why"]


def test_rules_leave_the_linear_head(cache, pool):
    @tal.labeling_function("one class for a few", on="row", classes=[CLASSES[0]])
    def some(row):
        return CLASSES[0] if row["id"].endswith("1") else None

    labeler = of_head("auto", cache)
    labeler.fit(coloured(8), pool=pool, rules=[some])
    assert "learns from rules" in labeler.transfer_["pool"]["why"]


def test_offsets_of_classes_do_not_undo_other_shares(cache, pool):
    labeler = of_head("auto", cache)
    rows = np.concatenate([np.flatnonzero(pool.class_ids == 0), np.flatnonzero(pool.class_ids > 0)[:20]])
    labeler.fit(coloured(20), pool=pool.subset(rows))
    assert labeler.transfer_["pool"]["class_shares"] is not None
    assert labeler.calibration_.kind in ("identity", "temperature")
    assert "other shares in the pool" in labeler.transfer_["pool"]["why"]
