import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tfautolabel.measures import (
    calibration_error,
    evaluate_probabilities,
    reliability_table,
    risk_coverage_curve,
)


def draws(n, seed, k=4):
    """Calibrated probabilities, rounded so that some are equal, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(k) * 0.5, n).round(2) + 1e-3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    class_ids = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return np.minimum(class_ids, k - 1), probabilities


@settings(deadline=None, max_examples=30)
@given(st.integers(40, 150), st.integers(0, 10_000), st.sampled_from([2, 3, 5]))
def test_every_value_is_scikit_learns(n, seed, k):
    truth, probabilities = draws(n, seed, k)
    truth[:k] = np.arange(k)
    predicted, one_hot = probabilities.argmax(axis=1), np.eye(k)[truth]
    found = evaluate_probabilities(truth, probabilities, resamples=0).measures
    expected = {
        "log_loss": metrics.log_loss(truth, probabilities, labels=np.arange(k)),
        "brier": ((probabilities - one_hot) ** 2).sum(axis=1).mean(),
        "accuracy": metrics.accuracy_score(truth, predicted),
        "roc_auc": metrics.roc_auc_score(one_hot, probabilities, average="macro"),
        "average_precision": metrics.average_precision_score(one_hot, probabilities, average="macro"),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
        "weighted_f1": metrics.f1_score(truth, predicted, average="weighted"),
        "kappa": metrics.cohen_kappa_score(truth, predicted),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name
        assert np.isnan(found[name].low)


def test_intervals_are_those_of_drawing_again():
    truth, probabilities = draws(150, 0)
    found = evaluate_probabilities(truth, probabilities, resamples=800, seed=3).measures
    rng = np.random.default_rng(4)
    drawn = []
    for _ in range(800):
        rows = rng.integers(0, 150, 150)
        drawn.append([
            metrics.log_loss(truth[rows], probabilities[rows], labels=np.arange(4)),
            metrics.roc_auc_score(np.eye(4)[truth[rows]], probabilities[rows], average="macro"),
            metrics.f1_score(truth[rows], probabilities[rows].argmax(axis=1), average="macro"),
            risk_coverage_curve(
                probabilities[rows].max(axis=1), probabilities[rows].argmax(axis=1) == truth[rows]
            )[:, 1].mean(),
        ])  # fmt: skip
    for name, values in zip(
        ("log_loss", "roc_auc", "macro_f1", "risk_coverage_area"), np.transpose(drawn), strict=True
    ):
        low, high = np.percentile(values, [2.5, 97.5])
        width = high - low
        assert found[name].low == pytest.approx(low, abs=0.15 * width), name
        assert found[name].high == pytest.approx(high, abs=0.15 * width), name


def test_intervals_hold_the_true_value_about_as_often_as_they_say():
    # Of calibrated probabilities the expected accuracy is the mean of the highest ones.
    expected = draws(200_000, 999)[1].max(axis=1).mean()
    held = 0
    for seed in range(150):
        truth, probabilities = draws(200, seed)
        one = evaluate_probabilities(truth, probabilities, resamples=200).measures["accuracy"]
        held += one.low <= expected <= one.high
    assert 130 <= held < 150


def test_the_calibration_error_of_known_gaps():
    confidence = np.repeat([0.6, 0.9], 50)
    right = np.concatenate([np.arange(50) < 20, np.arange(50) < 45])
    assert calibration_error(confidence, right, bins=2) == pytest.approx(0.1)
    np.testing.assert_allclose(reliability_table(confidence, right, 2), [[0.6, 0.4, 50], [0.9, 0.9, 50]])


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 30))
def test_bins_have_nearly_the_same_mass(n, bins):
    table = reliability_table(np.linspace(0, 1, n), np.ones(n, bool), bins)
    assert len(table) == min(n, bins)
    assert table[:, 2].sum() == n
    assert np.ptp(table[:, 2]) <= 1
    assert (np.diff(table[:, 0]) >= 0).all()


def test_the_risk_coverage_curve_by_hand():
    curve = risk_coverage_curve(np.array([0.9, 0.5, 0.7, 0.6]), np.array([True, False, False, True]))
    np.testing.assert_allclose(curve, [[0.25, 0], [0.5, 1 / 2], [0.75, 1 / 3], [1, 1 / 2]])


def test_equal_confidences_give_no_order():
    one = risk_coverage_curve(np.ones(4), np.array([True, True, False, False]))
    other = risk_coverage_curve(np.ones(4), np.array([False, True, False, True]))
    np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(one[:, 1], 0.5)


def test_the_seed_decides_and_parts_change_nothing(monkeypatch):
    truth, probabilities = draws(80, 1)
    first = evaluate_probabilities(truth, probabilities, resamples=50, seed=1)
    assert first.measures == evaluate_probabilities(truth, probabilities, resamples=50, seed=1).measures
    assert first.measures != evaluate_probabilities(truth, probabilities, resamples=50, seed=2).measures
    monkeypatch.setattr("tfautolabel.measures.probabilities._CHUNK", 400)
    parts = evaluate_probabilities(truth, probabilities, resamples=50, seed=1)
    assert parts.measures["brier"].high == pytest.approx(first.measures["brier"].high, rel=1e-12)


def test_what_the_data_do_not_define_is_left_open():
    found = evaluate_probabilities(np.zeros(5, int), np.tile([0.8, 0.2], (5, 1)), resamples=20)
    assert np.isnan(found.measures["roc_auc"].value)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["measures"]["roc_auc"] == {"value": None, "interval_95": [None, None]}
    assert read["measures"]["macro_f1"] == {"value": 1.0, "interval_95": [None, None]}, "no draw differs"
    assert read["measures"]["accuracy"] == {
        "value": 1.0,
        "interval_95": [pytest.approx(0.025 ** (1 / 5)), 1.0],
    }


def test_the_dictionary_keeps_so_many_points_of_the_curve():
    found = evaluate_probabilities(*draws(300, 2), resamples=5)
    assert len(found.to_dict(points=20)["risk_coverage"]) == 20
    assert found.to_dict()["risk_coverage"][-1] == found.risk_coverage[-1].tolist()
    assert sum(one["count"] for one in found.to_dict()["reliability"]) == 300


@pytest.mark.parametrize(("truth", "shape"), [([], (0, 2)), ([0, 1], (3, 2)), ([0, 1], (2,))])
def test_what_does_not_fit_is_refused(truth, shape):
    with pytest.raises(ValueError, match="at least one example"):
        evaluate_probabilities(np.array(truth, int), np.ones(shape))
