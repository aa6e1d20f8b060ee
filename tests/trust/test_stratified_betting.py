"""The evidence is tried on every way to hide errors in a small pool, by what it is on average."""

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from tfautolabel.trust import AuditDesign, certify_audited, design_audit
from tfautolabel.trust.stratified_betting import log_wealth

SCORES = np.float32([0.99, 0.98, 0.97, 0.9, 0.8, 0.6])
DESIGN = AuditDesign(0, 1, (0.93,), (0.7, 1.6))


def chances(order):
    """How likely the design draws the places in this order."""
    chance, left = 1.0, list(range(len(SCORES)))
    for step, place in enumerate(order):
        weights = (
            np.array(DESIGN.weights)[DESIGN.strata(SCORES[left])]
            if step >= DESIGN.uniform
            else np.ones(len(left))
        )
        chance *= weights[left.index(place)] / weights.sum()
        left.remove(place)
    return chance


@pytest.mark.parametrize("wrong", [[0, 1], [0, 5], [4, 5], [2, 3], [0, 1, 2], [3, 4, 5]])
@pytest.mark.parametrize("length", [1, 3])
def test_the_wealth_does_not_grow_on_average_wherever_errors_are(wrong, length):
    # The target of 20 % allows one error in six: claims are that there are two or more.
    is_wrong = np.isin(np.arange(6), wrong)
    total = mean = 0.0
    for order in itertools.permutations(range(6), length):
        chance = chances(order)
        wealth = log_wealth(SCORES, np.array(order), is_wrong[list(order)], DESIGN, 0.2)[-1]
        assert np.isfinite(wealth) or wealth < 0, "what is true is never refuted for certain"
        total, mean = total + chance, mean + chance * np.exp(wealth)
    assert total == pytest.approx(1.0)
    assert mean <= 1.0 + 1e-6
    if len(wrong) == 2 and length == 1:
        assert mean == pytest.approx(1.0, abs=1e-3), "nothing is given away at the claim itself"


def test_right_answers_win_and_errors_lose():
    scores = np.full(200, 0.9, np.float32)
    order, design = np.arange(100), AuditDesign.simple()
    right = log_wealth(scores, order, np.zeros(100, bool), design, 0.05)
    assert (np.diff(right) > 0).all()
    one = np.zeros(100, bool)
    one[50] = True
    assert (log_wealth(scores, order, one, design, 0.05)[50:] < right[50:] - 1.0).all()


def test_all_looked_at_is_certain():
    scores = np.linspace(0.5, 1.0, 40).astype(np.float32)
    design = design_audit(scores, target_error=0.1)
    wrong = np.zeros(40, bool)
    wrong[:4] = True
    order = design.order(scores)
    assert log_wealth(scores, order, wrong[order], design, 0.1)[-1] == np.inf
    wrong[4] = True
    assert log_wealth(scores, order, wrong[order], design, 0.1)[-1] < np.log(20)


def test_labels_outside_the_claim_change_nothing():
    scores = np.linspace(0.5, 1.0, 60).astype(np.float32)
    design = design_audit(scores, target_error=0.05)
    order, among = design.order(scores), scores > 0.75
    wrong = np.random.default_rng(0).random(60) < 0.05
    inside = among[order]
    every = log_wealth(scores, order, wrong[order], design, 0.05, among)
    other = log_wealth(scores, order, np.where(inside, wrong[order], True), design, 0.05, among)
    np.testing.assert_array_equal(every, other)


@pytest.mark.parametrize("where", ["alike", "least sure", "surest"])
def test_audited_certificates_are_wrong_no_more_often_than_they_may_be(where):
    rng, size, wrong = np.random.default_rng(3), 100, 0
    for seed in range(60):
        scores = np.sort(rng.beta(8, 1, size)).astype(np.float32)
        places = {"alike": rng.permutation(size), "least sure": np.arange(size)}
        places["surest"] = places["least sure"][::-1]
        correct = ~np.isin(np.arange(size), places[where][:11])
        design = design_audit(scores, target_error=0.1, seed=seed)
        order = design.order(scores, 70)
        found = certify_audited(scores, correct[order], order, target_error=0.1, design=design)
        wrong += found.threshold is not None and (~correct[found.accepts(scores)]).mean() > 0.1
    assert wrong <= binom.ppf(0.999, 60, 0.05)
