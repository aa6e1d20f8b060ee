import json

import numpy as np
import pytest
from scipy.special import softmax

from tfautolabel.trust import ConformalSets, calibrate_sets

METHODS = [
    {"method": "lac"},
    {"method": "aps"},
    {"method": "raps"},
    {"method": "aps", "randomised": False},
    {"method": "raps", "randomised": False},
]


def draws(n, seed, k=6):
    """Probabilities that are right, and classes drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(1.5 * rng.normal(size=(n, k)), axis=1)
    class_ids = (probabilities.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return probabilities, np.minimum(class_ids, k - 1)


@pytest.mark.parametrize("options", METHODS)
def test_sets_hold_the_right_class_as_often_as_they_say(options):
    held, sizes = [], []
    for seed in range(60):
        rows, truth = draws(800, seed)
        calibrated = calibrate_sets(rows[:300], truth[:300], 0.9, seed=seed, **options)
        sets = calibrated.sets(rows[300:])
        held.append(sets[np.arange(500), truth[300:]].mean())
        sizes.append(sets.sum(axis=1).mean())
    assert np.mean(held) >= 0.9 - 0.01
    if options.get("randomised", True):
        assert np.mean(held) <= 0.9 + 0.01
    assert 1.0 < np.mean(sizes) < 5.5


def test_coverage_within_each_class():
    held = []
    for seed in range(40):
        rows, truth = draws(2500, seed)
        # A class that the probabilities hold too low: together it would be left out too often.
        rows[:, 0] *= 0.3
        rows /= rows.sum(axis=1, keepdims=True)
        sets = calibrate_sets(rows[:1500], truth[:1500], 0.9, per_class=True).sets(rows[1500:])
        inside = sets[np.arange(1000), truth[1500:]]
        held.append([inside[truth[1500:] == number].mean() for number in range(6)])
    np.testing.assert_allclose(np.mean(held, axis=0), 0.9, atol=0.02)


def test_sets_that_are_not_randomised_hold_those_that_are():
    rows, truth = draws(600, 0)
    randomised, whole = (
        calibrate_sets(rows[:300], truth[:300], 0.8, "aps", randomised=flag).sets(rows[300:])
        for flag in (True, False)
    )
    assert (whole >= randomised).all()
    assert whole.any(axis=1).all()
    assert whole[np.arange(300), rows[300:].argmax(axis=1)].all()


def test_more_coverage_makes_larger_sets():
    rows, truth = draws(600, 1)
    sizes = [calibrate_sets(rows, truth, coverage, "aps").sets(rows).sum() for coverage in (0.6, 0.8, 0.95)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


def test_too_few_examples_leave_nothing_out():
    rows, truth = draws(8, 0)
    assert calibrate_sets(rows, truth, 0.9).sets(rows).all()
    missing = calibrate_sets(rows, np.zeros(8, int), 0.5, per_class=True)
    assert missing.sets(rows)[:, 1:].all()


def test_the_seed_decides_and_unread_rows_have_empty_sets():
    rows, truth = draws(300, 2)
    calibrated = calibrate_sets(rows, truth, 0.8, "aps", seed=5)
    np.testing.assert_array_equal(calibrated.sets(rows), calibrated.sets(rows))
    assert (calibrated.sets(rows) != calibrate_sets(rows, truth, 0.8, "aps", seed=6).sets(rows)).any()
    assert not calibrated.sets(np.zeros((2, 6))).any()


@pytest.mark.parametrize("options", METHODS)
def test_sets_survive_json(options):
    rows, truth = draws(300, 3)
    calibrated = calibrate_sets(rows[:9], truth[:9], 0.8, per_class=True, **options)
    read = ConformalSets.from_dict(json.loads(json.dumps(calibrated.to_dict())))
    np.testing.assert_array_equal(read.sets(rows), calibrated.sets(rows))


def test_least_ambiguous_sets_are_those_of_mapie():
    classification = pytest.importorskip("mapie.classification")
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    centres = 1.2 * rng.normal(size=(4, 5))
    class_ids = rng.integers(0, 4, 900)
    features = centres[class_ids] + rng.normal(size=(900, 5))
    model = LogisticRegression().fit(features[:200], class_ids[:200])
    peer = classification.SplitConformalClassifier(
        model, confidence_level=0.9, conformity_score="lac", prefit=True
    )
    peer.conformalize(features[200:500], class_ids[200:500])
    rows = model.predict_proba(features)
    ours = calibrate_sets(rows[200:500], class_ids[200:500], 0.9).sets(rows[500:])
    np.testing.assert_array_equal(ours, peer.predict_set(features[500:])[1][:, :, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "top"}, "method must be one of"),
        ({"coverage": 1.0}, "coverage must lie between 0 and 1"),
        ({"class_ids": np.zeros(2, int)}, "one class id for each row"),
        ({"probabilities": np.ones(3)}, r"probabilities must have shape \(n, k\)"),
    ],
)
def test_what_is_not_valid_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        calibrate_sets(**{"probabilities": np.ones((3, 2)) / 2, "class_ids": np.zeros(3, int)} | options)
