"""What every labeler that is fitted does, the one in memory and the exported one."""

from copy import copy

import numpy as np
import pytest
from separable import CLASSES
from small_networks import coloured, convolutional, in_less_light

import tfautolabel as tal
from tfautolabel.export.contract import LabelsExamples
from tfautolabel.trust.certificates import OTHER_POPULATION


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    labeler = tal.Labeler(
        convolutional(), CLASSES, cache_dir=folder / "cache", min_confidence=0.0, progress=False
    )
    labeler.fit(coloured(30), pool=coloured(10, first=100))
    version = labeler.export(folder / "model" / "1")
    return labeler, version, tal.load_exported(version)


@pytest.fixture(params=["labeler", "loaded", "exported"])
def labeler(request, fitted, tmp_path):
    """Each kind of labeler, as it is before anything was certified."""
    own, _, exported = fitted
    if request.param == "exported":
        return copy(exported)
    if request.param == "loaded":
        own.save(tmp_path / "saved")
        return tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")
    own.accept_by(None)
    return own


def test_it_is_a_labeler(labeler):
    assert isinstance(labeler, LabelsExamples)
    assert labeler.classes == CLASSES


def test_predict_label_parts_and_evaluate_agree(labeler):
    pool = coloured(10, first=100)
    encoded = pool.read(range(len(pool)))
    labels = labeler.label(pool)
    np.testing.assert_allclose(labeler.predict(encoded), labels.probabilities, atol=1e-5)
    parts = list(labeler.label_parts(pool, part_rows=7))
    assert [len(part) for part in parts] == [7, 7, 7, 7, 2]
    assert np.concatenate([part.class_ids for part in parts]).tolist() == labels.class_ids.tolist()
    right = labels.probabilities.argmax(axis=1) == pool.class_ids
    assert labeler.evaluate(pool).accuracy == pytest.approx(right.mean())
    assert not labeler.label(pool, min_confidence=1.0).accepted.any()


@pytest.mark.parametrize("per_class", [False, True])
def test_what_was_held_out_certifies_and_labels_are_accepted_by_it(labeler, per_class):
    pool, held_out = coloured(10, first=100), coloured(40, first=200)
    certificate = labeler.certify(0.3, held_out=held_out, pool=pool, per_class=per_class)
    assert certificate.kind == "certified"
    labels = labeler.label(pool)
    assert certificate.pool_accepted == labels.accepted.sum() > 0
    thresholds = certificate.thresholds(CLASSES)
    confidence, predicted = labels.probabilities.max(axis=1), labels.probabilities.argmax(axis=1)
    bounds = np.array([np.inf if bound is None else bound for bound in thresholds], np.float32)[predicted]
    above = np.float32(labeler.acceptance.ood_above)
    np.testing.assert_array_equal(labels.accepted, (confidence >= bounds) & (labels.ood_score <= above))


def test_what_is_impossible_accepts_nothing(labeler):
    assert labeler.certify(0.001, held_out=coloured(5, first=200)).kind == "impossible"
    assert not labeler.label(coloured(5, first=100)).accepted.any()


def test_levels_that_are_none_are_refused(labeler):
    with pytest.raises(ValueError, match="between 0 and 1, both excluded"):
        labeler.certify(1.5, held_out=coloured(5, first=200))


def test_an_export_holds_nothing_to_certify_by(fitted):
    with pytest.raises(ValueError, match="holds no labelled examples: give held_out="):
        tal.load_exported(fitted[1]).certify(0.1)


def test_another_population_is_refused(labeler):
    held_out = coloured(40, first=200)
    certificate = labeler.certify(0.3, held_out=held_out, pool=in_less_light(coloured(20, first=300)))
    assert certificate.kind == OTHER_POPULATION
    assert not labeler.label(coloured(5, first=100)).accepted.any()
