import numpy as np
import pytest
import tensorflow as tf
from separable import CLASSES
from small_networks import coloured, convolutional

import tfautolabel as tal


@pytest.fixture(scope="module")
def labeler(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    labeler = tal.Labeler(convolutional(), CLASSES, cache_dir=cache, min_confidence=0.0, progress=False)
    labeler.fit(coloured(30), pool=coloured(10, first=100))
    return labeler


@pytest.fixture(autouse=True)
def forget(labeler):
    yield
    labeler.accept_by(None)


def test_without_examples_that_were_held_out_it_is_an_estimate(labeler):
    certificate = labeler.certify(0.2, pool=coloured(10, first=100))
    assert certificate.kind == "estimated"
    assert certificate.pool_size == 30
    labels = labeler.label(coloured(10, first=100))
    assert certificate.pool_accepted == labels.accepted.sum() > 0
    assert labels.confidence[labels.accepted].min() >= np.float32(certificate.threshold)


def test_examples_that_were_held_out_certify(labeler):
    assert labeler.certify(0.2, held_out=coloured(30, first=200)).kind == "certified"


def test_each_class_can_have_a_threshold_of_its_own(labeler):
    certificate = labeler.certify(0.3, held_out=coloured(40, first=200), per_class=True)
    assert set(certificate.per_class) == set(CLASSES)
    labels = labeler.label(coloured(10, first=100))
    for name, one in certificate.per_class.items():
        accepted = labels.confidence[labels.accepted & (labels.predicted == name)]
        assert (one.threshold is None and not len(accepted)) or (accepted >= np.float32(one.threshold)).all()


def test_what_is_impossible_accepts_nothing_unless_a_confidence_is_given(labeler):
    assert labeler.certify(0.001).kind == "impossible"
    pool = coloured(5, first=100)
    assert not labeler.label(pool).accepted.any()
    assert labeler.label(pool, min_confidence=0.0).accepted.any()


@pytest.mark.parametrize("target", [0, 1, -0.1, float("nan")])
def test_a_target_that_is_no_share_is_refused(labeler, target):
    with pytest.raises(ValueError, match="between 0 and 1, both excluded"):
        labeler.certify(target)


def test_sets_of_labels_hold_the_right_one_as_often_as_asked(labeler):
    pool = coloured(30, first=300)
    sets, labels = labeler.prediction_sets(pool, coverage=0.9)
    assert sets.shape == (90, 3)
    assert len(labels) == 90
    assert sets[np.arange(90), pool.class_ids].mean() >= 0.8


def strange(count=12):
    """Pictures of a colour that no class has."""
    rng = np.random.default_rng(0)
    pixels = np.clip(np.array([250, 250, 250]) + rng.normal(0, 2, (count, 24, 24, 3)), 0, 255).astype(
        np.uint8
    )
    return tal.Dataset.from_inputs([tf.io.encode_png(one).numpy() for one in pixels])


@pytest.mark.parametrize("transfer", ["feature", "model"])
def test_what_is_unlike_is_told_alike_by_labeler_save_and_export(tmp_path, transfer):
    settings = (
        tal.FineTuneSettings(scope="all", epochs=1, learning_rate=1e-3) if transfer == "model" else None
    )
    labeler = tal.Labeler(
        convolutional(),
        CLASSES,
        cache_dir=tmp_path / "cache",
        min_confidence=0.0,
        transfer=transfer,
        transfer_settings=settings,
        progress=False,
    )
    labeler.fit(coloured(20))
    known, unknown = coloured(10, first=100), strange()
    labels = labeler.label(unknown)
    assert (labels.reason == "unlike_anything_labelled").mean() > 0.8
    assert (labeler.label(known).reason == "").mean() > 0.8
    labeler.certify(0.3, per_class=True)
    labeler.save(tmp_path / "saved")
    labeler.export(tmp_path / "model")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "other")
    assert again.certificate_ == labeler.certificate_
    for pool in (known, unknown):
        ours = labeler.label(pool)
        for theirs in (again.label(pool), tal.load_exported(tmp_path / "model").label(pool)):
            assert theirs.reason.tolist() == ours.reason.tolist()
            assert theirs.class_ids.tolist() == ours.class_ids.tolist()
            np.testing.assert_allclose(theirs.ood_score, ours.ood_score, rtol=1e-3, atol=1e-3)
    served = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["serving_default"]
    accepted = served(examples=tf.constant(unknown.read(range(len(unknown)))))["accepted"].numpy()
    assert accepted.tolist() == labeler.label(unknown).accepted.tolist()


def test_few_labels_are_enough_for_a_gate_and_very_few_accept_nothing(tmp_path):
    labeler = tal.Labeler(
        convolutional(), CLASSES, cache_dir=tmp_path / "cache", min_confidence=0.0, progress=False
    )
    labeler.fit(coloured(8))
    assert (labeler.label(strange()).reason == "unlike_anything_labelled").mean() > 0.8
    labeler.fit(coloured(3))
    assert labeler.ood_gate_ is None
    assert set(labeler.label(strange()).reason) == {"not_earned"}
    assert labeler.label(strange(), min_confidence=0.0).accepted.all()
    labeler.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")
    assert again.earned_ == labeler.earned_
    assert again.label(strange()).reason.tolist() == labeler.label(strange()).reason.tolist()


def test_no_better_than_one_class_for_all_accepts_nothing_in_labeler_and_export(tmp_path):
    one_sided = coloured(12)
    few = np.flatnonzero((one_sided.class_ids == 0) | (np.arange(36) < 3))
    labeler = tal.Labeler(
        convolutional(), CLASSES, cache_dir=tmp_path / "cache", min_confidence=0.0, progress=False
    )
    with pytest.warns(UserWarning, match="only one labelled example of"):
        labeler.fit(one_sided.subset(few))
    assert labeler.earned_.unjudged == (1, 2)
    assert not labeler.earned_.better_than_one_class
    pool = coloured(6, first=100)
    assert not labeler.label(pool).accepted.any()
    labeler.export(tmp_path / "model")
    exported = tal.load_exported(tmp_path / "model").label(pool)
    assert exported.reason.tolist() == labeler.label(pool).reason.tolist()
    served = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["serving_default"]
    assert not served(examples=tf.constant(pool.read(range(len(pool)))))["accepted"].numpy().any()
