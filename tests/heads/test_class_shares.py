"""The classes' shares in a pool."""

import numpy as np

from tfautolabel.heads.class_shares import STANDARD_ERRORS, share_factors, shift_in_errors, with_factors


def probabilities(shares, n, seed=0):
    """Calibrated probabilities of a head that expects equal shares, for examples with the given ones."""
    rng = np.random.default_rng(seed)
    class_ids = rng.choice(len(shares), n, p=shares)
    scores = np.eye(len(shares))[class_ids] + rng.normal(0, 0.7, (n, len(shares)))
    found = np.exp(scores / 0.49)
    return found / found.sum(axis=1, keepdims=True), class_ids


def test_equal_shares_are_no_shift_in_nineteen_of_twenty_draws():
    fired = 0
    for seed in range(40):
        held_out, _ = probabilities([1 / 3] * 3, 40, seed)
        pool, _ = probabilities([1 / 3] * 3, 2000, seed + 100)
        fired += shift_in_errors(pool, held_out, np.ones(40)) > STANDARD_ERRORS
    assert fired <= 2


def test_other_shares_are_seen_found_half_way_and_make_more_labels_right():
    held_out, _ = probabilities([1 / 3] * 3, 60)
    pool, truth = probabilities([0.9, 0.05, 0.05], 2000)
    assert shift_in_errors(pool, held_out, np.ones(60)) > STANDARD_ERRORS
    factors = share_factors(pool, np.full(3, 1 / 3))
    assert 0.6 < factors[0] / 3 < 0.9
    before, after = ((one.argmax(1) == truth).mean() for one in (pool, with_factors(pool, factors)))
    assert after > before + 0.01
