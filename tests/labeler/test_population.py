import numpy as np
import pytest
from separable import CLASSES
from small_networks import coloured, convolutional, in_less_light

import tfautolabel as tal
from tfautolabel.labels import NOT_EARNED
from tfautolabel.trust.certificates import OTHER_POPULATION


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def fitted(cache, pool, **options):
    labeler = tal.Labeler(convolutional(), CLASSES, cache_dir=cache, min_confidence=0.0, progress=False)
    labeler.fit(coloured(30), pool=pool, **options)
    return labeler


def test_nothing_is_accepted_in_another_population_before_an_audit(cache, tmp_path):
    pool = in_less_light(coloured(20, first=100), 0.7)
    labeler = fitted(cache, pool)
    assert labeler.fitted.shift.changed == "inputs"
    labels = labeler.label(pool)
    assert not labels.accepted.any()
    assert set(labels.reason) <= {NOT_EARNED, "unlike_anything_labelled"}
    (said,) = labeler.earned_.sentences(CLASSES)
    assert "unlike the labelled examples (p = 0.005)" in said
    certificate = labeler.certify(0.2, pool=pool)
    assert (certificate.kind, certificate.threshold) == (OTHER_POPULATION, None)
    assert "another population" in certificate.sentence()
    assert not labeler.label(pool).accepted.any()
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=cache)
    assert again.fitted.shift == labeler.fitted.shift
    assert again.earned_ == labeler.earned_
    assert not again.label(pool).accepted.any()


def test_the_same_population_changes_nothing(cache):
    pool = coloured(20, first=100)
    labeler = fitted(cache, pool)
    assert labeler.fitted.shift.changed == "nothing"
    assert labeler.earned_.other_population is None
    assert labeler.label(pool).accepted.any()


def test_what_was_chosen_is_not_compared(cache):
    pool = coloured(20, first=100)
    assert fitted(cache, pool, drawn=[]).fitted.shift is None


def test_held_out_labels_of_another_population_certify_nothing(cache):
    labeler = fitted(cache, coloured(20, first=100))
    held_out = coloured(40, first=200)
    assert labeler.certify(0.3, held_out=held_out, pool=coloured(20, first=100)).kind == "certified"
    refused = labeler.certify(
        0.3, held_out=held_out, pool=in_less_light(coloured(20, first=300)), per_class=True
    )
    assert refused.kind == OTHER_POPULATION
    assert refused.thresholds(CLASSES) == [None] * len(CLASSES)
    assert refused.pool_accepted == 0


def test_a_model_notices_another_population(cache, tmp_path):
    labeler = fitted(cache, coloured(40, first=100))
    model = tal.load_exported(labeler.export(tmp_path / "model" / "1"))
    assert model.other_population(coloured(30, first=400)) is None
    assert model.other_population(in_less_light(coloured(30, first=400))) < 0.001
    assert model.other_population(in_less_light(coloured(6, first=400))) is None, "18 are too few"
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=cache).fitted.reference
    for name, value in labeler.fitted.reference.arrays().items():
        np.testing.assert_array_equal(getattr(again, name), value)
    assert set(model.module.signatures["serving_default"].structured_outputs) == {
        *("label", "class_id", "confidence", "accepted", "probabilities"),
    }
