"""A labeler with a meta-learner: the record, the exported model, and what is refused."""

import json

import keras
import numpy as np
import pytest
from separable import CLASSES
from small_networks import coloured, convolutional

import tfautolabel as tal


@pytest.fixture(scope="module")
def learner():
    """Learnt with features in which one direction says nothing of the classes."""
    rng = np.random.default_rng(0)
    class_ids = np.arange(90) % 3
    features = np.abs(rng.normal(1.0, 0.1, (3, 8)))[class_ids] + rng.uniform(0, 0.02, (90, 8))
    features[:, 0] += rng.uniform(0, 2.0, 90)
    return tal.MetaLearner(convolutional()).fit([(features, class_ids)])


def labeler_with(learner, tmp_path, **options):
    options = {"head": "linear", "cache_dir": tmp_path / "cache", "progress": False} | options
    return tal.Labeler(convolutional(), CLASSES, meta_learner=learner, **options)


@pytest.fixture(scope="module", params=["linear", "auto"])
def labeler(request, learner, tmp_path_factory):
    labeler = labeler_with(learner, tmp_path_factory.mktemp("made"), head=request.param)
    labeler.fit(coloured(7, noise=0.3), pool=coloured(110, first=1000))
    return labeler


def test_the_record_says_what_it_was_worth(labeler):
    found = labeler.transfer_["meta"]
    assert found["used"]
    assert 0.0 < found["share"] < 1.0
    assert "held-out labels" in found["why"]
    assert "two earlier sets or more" in found["on_earlier"]
    assert ("pool" in labeler.transfer_) == (labeler.head.name == "meta_auto_head")


def test_the_exported_model_holds_the_map(labeler, tmp_path):
    folder = labeler.export(tmp_path / "model" / "1")
    some = coloured(5, first=2000)
    labels = labeler.label(some)
    exported = tal.load_exported(folder).label(some)
    np.testing.assert_allclose(exported.probabilities, labels.probabilities, atol=1e-4)
    written = json.loads(next(folder.rglob("labeler.json")).read_text("utf-8"))
    assert written["transfer"]["meta"] == labeler.transfer_["meta"]


def test_a_saved_labeler_goes_on_without_the_learner(labeler, tmp_path):
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved")
    some = coloured(5, first=2000)
    before = labeler.label(some).probabilities
    np.testing.assert_allclose(again.label(some).probabilities, before, atol=1e-6)
    again.fit(coloured(7, noise=0.3), pool=coloured(110, first=1000))
    np.testing.assert_allclose(again.label(some).probabilities, before, atol=1e-5)
    assert again.transfer_["meta"] == labeler.transfer_["meta"]


def test_a_second_fit_starts_anew_where_neighbours_and_map_have_variables(learner, tmp_path):
    labeler = labeler_with(learner, tmp_path, head="auto")
    known, pool, some = coloured(7, noise=0.3), coloured(340, first=1000), coloured(5, first=2000)
    labeler.fit(known, pool=pool)
    assert labeler.transfer_["pool"]["level"] == "neighbours"
    before = labeler.label(some).probabilities
    labeler.fit(known, pool=pool)
    np.testing.assert_allclose(labeler.label(some).probabilities, before, atol=1e-6)
    np.testing.assert_array_equal(labeler.head.mapped_head.matrix, learner.matrix_)


def test_a_map_that_is_not_used_is_not_exported_and_not_forgotten(learner, tmp_path):
    labeler = labeler_with(learner, tmp_path)
    labeler.fit(coloured(5))
    assert not labeler.transfer_["meta"]["used"]
    size = labeler.backbone.feature_dim
    shapes = [tuple(weight.shape) for weight in labeler.served_head.weights]
    assert shapes.count((size, size)) == 0
    some = coloured(5, first=2000)
    exported = tal.load_exported(labeler.export(tmp_path / "model" / "1")).label(some)
    np.testing.assert_allclose(exported.probabilities, labeler.label(some).probabilities, atol=1e-4)
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved")
    again.fit(coloured(7, noise=0.3))
    assert again.transfer_["meta"]["used"]
    assert (size, size) in [tuple(weight.shape) for weight in again.served_head.weights]


def test_a_folder_may_be_given(learner, tmp_path):
    learner.save(tmp_path / "meta")
    labeler = labeler_with(tmp_path / "meta", tmp_path)
    np.testing.assert_array_equal(labeler.head.mapped_head.matrix, learner.matrix_)
    assert float(labeler.head.mapped_head.power) == learner.power_


def test_what_does_not_go_with_it_is_refused(learner, tmp_path):
    with pytest.raises(ValueError, match="learnt with"):
        tal.Labeler(convolutional(seed=4), CLASSES, meta_learner=learner)
    with pytest.raises(ValueError, match="transfer='feature'"):
        labeler_with(learner, tmp_path, transfer="model")
    own = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3, activation="softmax")], name="own")
    for head in ("mlp", own):
        with pytest.raises(ValueError, match="linear and auto"):
            labeler_with(learner, tmp_path, head=head)


def test_parameters_that_are_copied_later_are_refused(learner, tmp_path):
    labeler = labeler_with(learner, tmp_path)
    labeler.copy_parameters(tal.Labeler(convolutional(seed=4), CLASSES))
    with pytest.raises(ValueError, match="other weights"):
        labeler.fit(coloured(6))


def test_examples_that_taught_the_map_do_not_judge_it(tmp_path):
    learner = tal.MetaLearner(convolutional()).fit(
        [coloured(8)], cache_dir=tmp_path / "cache", progress=False
    )
    learner.save(tmp_path / "meta")
    labeler = labeler_with(tmp_path / "meta", tmp_path)
    for first, seen in ((7, True), (100, False)):
        labeler.fit(coloured(7, first=first))
        assert ("3 labelled examples are in the earlier sets" in labeler.transfer_["meta"]["why"]) == seen
        assert not (seen and labeler.transfer_["meta"]["used"])
