import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from tfautolabel.trust import Calibration, fit_calibration
from tfautolabel.trust.calibration import KINDS


def draws(n, seed, k=4, scale=1.0, bias=0.0):
    """Probabilities that are distorted by scale and bias, and classes drawn from the undistorted ones."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.normal(size=(n, k))
    class_ids = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return softmax(scale * log_softmax(logits, axis=1) + bias, axis=1), np.minimum(class_ids, k - 1)


def log_loss(probabilities, class_ids):
    return -np.log(probabilities[np.arange(len(class_ids)), class_ids]).mean()


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_temperature_that_distorts_is_found(scale):
    probabilities, class_ids = draws(4000, 0, scale=scale)
    calibration = fit_calibration(probabilities, class_ids, "temperature")
    np.testing.assert_allclose(calibration.scale, 1 / scale, rtol=0.08)
    assert len(set(calibration.scale)) == 1
    assert (calibration.bias == 0).all()


def test_vector_scaling_takes_a_bias_off():
    bias = np.array([0.8, 0.0, 0.0, -0.8])
    probabilities, class_ids = draws(4000, 1, bias=bias)
    calibration = fit_calibration(probabilities, class_ids)
    assert calibration.kind == "vector"
    unseen, truth = draws(4000, 2, bias=bias)
    undistorted, _ = draws(4000, 2)
    assert log_loss(calibration.apply(unseen), truth) <= log_loss(undistorted, truth) + 0.005
    assert log_loss(calibration.apply(unseen), truth) < log_loss(unseen, truth) - 0.05


@pytest.mark.parametrize("n", [3, 20, 60, 500])
def test_what_is_calibrated_is_not_harmed(n):
    harm = []
    for seed in range(30):
        probabilities, class_ids = draws(n, seed)
        unseen, truth = draws(2000, 1000 + seed)
        calibration = fit_calibration(probabilities, class_ids)
        harm.append(log_loss(calibration.apply(unseen), truth) - log_loss(unseen, truth))
    assert np.mean(harm) < 0.01
    assert np.max(harm) < 0.08


def test_many_labels_show_what_few_cannot():
    kinds = [fit_calibration(*draws(n, 5, scale=3.0)).kind for n in (6, 2000)]
    assert kinds == ["identity", "temperature"]


def test_a_run_without_errors_does_not_end_in_certainty():
    rng = np.random.default_rng(0)
    probabilities = np.stack([np.full(200, 0.9), np.full(200, 0.1)], axis=1)
    for kind in KINDS:
        calibrated = fit_calibration(probabilities, np.zeros(200, int), kind).apply(probabilities)
        assert calibrated.max() < 0.9999
    assert fit_calibration(probabilities, rng.integers(0, 2, 200), "temperature").scale[0] < 0.7


@settings(deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=10),
    st.lists(st.floats(0.2, 5), min_size=3, max_size=3),
    st.lists(st.floats(-3, 3), min_size=3, max_size=3),
)
def test_rows_sum_to_one_and_unread_rows_stay_zero(rows, scale, bias):
    rows = np.array(rows) + 1e-6
    rows /= rows.sum(axis=1, keepdims=True)
    rows = np.vstack([rows, np.zeros((1, 3))])
    applied = Calibration("vector", np.array(scale), np.array(bias)).apply(rows)
    assert applied.dtype == np.float32
    np.testing.assert_allclose(applied[:-1].sum(axis=1), 1, rtol=1e-5)
    assert (applied[-1] == 0).all()
    np.testing.assert_array_equal(Calibration.identity(3).apply(rows), rows.astype(np.float32))


def test_a_temperature_keeps_every_decision():
    probabilities, class_ids = draws(300, 3, scale=2.0)
    applied = fit_calibration(probabilities, class_ids, "temperature").apply(probabilities)
    np.testing.assert_array_equal(applied.argmax(axis=1), probabilities.argmax(axis=1))


def test_weights_count_as_repeated_examples():
    probabilities, class_ids = draws(200, 4, scale=2.0)
    weight = np.random.default_rng(0).integers(1, 4, 200)
    repeated = np.repeat(np.arange(200), weight)
    for kind in ("temperature", "vector"):
        weighted = fit_calibration(probabilities, class_ids, kind, sample_weight=weight)
        plain = fit_calibration(probabilities[repeated], class_ids[repeated], kind)
        np.testing.assert_allclose(weighted.scale, plain.scale, rtol=1e-3)
        np.testing.assert_allclose(weighted.bias, plain.bias, atol=1e-3)


def test_unread_rows_are_left_out():
    probabilities, class_ids = draws(200, 6, scale=2.0)
    padded = np.vstack([probabilities, np.zeros((50, 4))])
    with_unread = fit_calibration(padded, np.append(class_ids, np.zeros(50, int)), "temperature")
    assert with_unread.scale[0] == fit_calibration(probabilities, class_ids, "temperature").scale[0]


def test_a_calibration_survives_json():
    calibration = fit_calibration(*draws(300, 7, scale=2.0), "vector")
    read = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    rows, _ = draws(50, 8)
    np.testing.assert_array_equal(read.apply(rows), calibration.apply(rows))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 2)), np.zeros(3, int), "platt"), "kind must be one of"),
        ((np.ones((3, 2)), np.zeros(2, int)), "probabilities must have shape"),
        ((np.ones(3), np.zeros(3, int)), "probabilities must have shape"),
    ],
)
def test_what_is_not_valid_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_calibration(*arguments)


def test_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match=r"shape \(n, 3\)"):
        Calibration.identity(3).apply(np.ones((2, 4)))
