import json

import numpy as np
import pytest
from scipy.stats import binom

from tfautolabel.trust import Certificate, certify
from tfautolabel.trust.binomial import error_bound

LEVELS = {"target_error": 0.05, "confidence": 0.95}


def sample(n, seed, risk):
    """Scores in [0, 1) and whether labels are right; risk is a function of the score."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n).astype(np.float32)
    return scores, rng.random(n) >= risk(scores)


def falling(scores):
    """Errors from none at the top to 40 % at the bottom: 5 % at the best half of the scores."""
    return 0.4 * (1.0 - scores) ** 2


def true_error_above(threshold):
    return 0.4 * (1.0 - threshold) ** 2 / 3.0


def test_counts_and_bound_are_those_of_the_threshold():
    scores, correct = sample(500, 0, falling)
    pool = np.random.default_rng(9).random(10_000)
    found = certify(scores, correct, pool_scores=pool, **LEVELS)
    accepted = scores >= np.float32(found.threshold)
    assert found.kind == "certified"
    assert (found.n_labels, found.n_accepted) == (500, accepted.sum())
    assert found.errors == (accepted & ~correct).sum()
    assert found.upper_bound == pytest.approx(error_bound(found.n_accepted, found.errors))
    assert found.upper_bound <= 0.05
    assert found.pool_accepted == (pool.astype(np.float32) >= np.float32(found.threshold)).sum()
    assert found.coverage == found.pool_accepted / 10_000
    np.testing.assert_array_equal(found.accepts(scores), accepted)


@pytest.mark.parametrize("options", [{}, {"source": "pool_sample"}])
def test_certificates_are_wrong_no_more_often_than_they_may_be(options):
    wrong, accepted = 0, 0
    for seed in range(400):
        scores, correct = sample(2000, seed, falling)
        found = certify(scores[:250], correct[:250], pool_scores=scores, **LEVELS, **options)
        if found.threshold is None:
            continue
        accepted += 1
        if options.get("source") == "pool_sample":
            wrong += (~correct[found.accepts(scores)]).mean() > 0.05
        else:
            wrong += true_error_above(found.threshold) > 0.05
    assert accepted > 100
    assert wrong <= binom.ppf(0.999, 400, 0.05)


@pytest.mark.parametrize("n", [59, 100, 300])
def test_the_worst_case_is_certified_no_more_often_than_it_may_be(n):
    passed = 0
    for seed in range(1000):
        scores, correct = sample(n, seed, lambda scores: np.full(len(scores), 0.0501))
        passed += certify(scores, correct, **LEVELS).threshold is not None
    # Not far below either: at the exact minimum the budget is used up.
    assert passed <= binom.ppf(0.999, 1000, 0.05)
    assert passed >= 1


def test_a_better_labeler_has_more_accepted():
    coverages = []
    for worst in (0.6, 0.3, 0.0):
        scores, correct = sample(600, 3, lambda scores, worst=worst: worst * (1 - scores) ** 2)
        coverages.append(certify(scores, correct, **LEVELS).coverage)
    assert coverages == sorted(coverages)
    assert coverages[-1] == 1.0


def test_out_of_fold_labels_give_an_estimate_only():
    found = certify(np.ones(100), np.ones(100, bool), source="out_of_fold", **LEVELS)
    assert found.kind == "estimated"
    assert "no guarantee" in found.sentence()
    assert any("cross-validation" in one for one in found.assumptions)


def test_what_cannot_be_certified_says_what_is_needed():
    few = certify(np.ones(20), np.ones(20, bool), **LEVELS)
    assert (few.kind, few.needed_labels, few.threshold) == ("impossible", 59, None)
    assert "an audit of the surest ones may" in few.sentence()
    assert not few.accepts(np.ones(3)).any()
    hopeless = certify(np.ones(200), np.arange(200) % 2 == 0, **LEVELS)
    assert hopeless.needed_labels is None
    assert "too many of the surest are wrong" in hopeless.sentence()


def test_classes_hold_together_at_shares_of_the_budget():
    scores, correct = sample(900, 1, lambda scores: 0.01 * np.ones(len(scores)))
    predicted = np.arange(900) % 3
    correct[predicted == 2] = np.arange(300) % 2 == 0
    found = certify(
        scores, correct, per_class=True, predicted=predicted, classes=["a", "b", "c"],
        pool_scores=scores, pool_predicted=predicted, **LEVELS,
    )  # fmt: skip
    kinds = {name: one.kind for name, one in found.per_class.items()}
    assert kinds == {"a": "certified", "b": "certified", "c": "impossible"}
    for one in (found.per_class["a"], found.per_class["b"]):
        assert one.upper_bound == pytest.approx(error_bound(one.n_accepted, one.errors, 1 - 0.05 / 3))
    accepted = found.accepts(scores, predicted)
    assert accepted.sum() == found.pool_accepted == found.n_accepted
    assert not accepted[predicted == 2].any()
    assert "of each class" in found.sentence()
    with pytest.raises(ValueError, match="give predicted="):
        found.accepts(scores)


@pytest.mark.parametrize("per_class", [False, True])
def test_a_certificate_survives_json(per_class):
    options = (
        {"per_class": True, "predicted": np.arange(300) % 2, "classes": ["猫", "b"]} if per_class else {}
    )
    found = certify(*sample(300, 2, lambda scores: 0 * scores), **LEVELS, **options)
    assert Certificate.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_sentence_without_a_pool_names_the_threshold():
    found = certify(*sample(500, 0, falling), **LEVELS)
    assert found.sentence().startswith(f"labels with a confidence of at least {found.threshold:.3f}, about ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_error": 0.0}, "target_error must lie between 0 and 1"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1"),
        ({"source": "guess"}, "source must be one of"),
        ({"source": "pool_sample"}, "a pool is needed"),
        ({"source": "pool_sample", "pool_scores": np.ones(3)}, "the pool must hold the sample"),
        ({"per_class": True}, "per_class needs"),
        ({"correct": np.ones(5, bool)}, "must both have shape"),
        ({"confidence_scores": np.full(60, np.nan)}, "scores must be finite"),
    ],
)
def test_what_is_not_valid_is_refused(options, message):
    valid = {"confidence_scores": np.ones(60), "correct": np.ones(60, bool), "target_error": 0.05}
    with pytest.raises(ValueError, match=message):
        certify(**valid | options)
