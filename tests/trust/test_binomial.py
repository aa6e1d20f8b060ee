import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tfautolabel.trust.binomial import error_bound, error_p_values, labels_needed


@pytest.mark.parametrize(
    ("n", "errors", "target"), [(59, 0, 0.05), (93, 1, 0.05), (124, 2, 0.05), (299, 0, 0.01), (473, 1, 0.01)]
)
def test_the_exact_minimum_and_not_one_fewer(n, errors, target):
    assert error_bound(n, errors) <= target < error_bound(n - 1, errors)


@settings(deadline=None)
@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_tail_at_the_bound_is_what_the_confidence_leaves(counts):
    n, errors = counts
    bound = error_bound(n, errors, 0.9)
    if errors == n:
        assert bound == 1.0
    else:
        assert binom.cdf(errors, n, bound) == pytest.approx(0.1, rel=1e-6)


def test_nothing_looked_at_bounds_nothing():
    assert error_bound(0, 0) == 1.0


def test_a_finite_set_needs_fewer_labels_and_all_of_it_leaves_no_doubt():
    n, errors = np.array([59, 59, 100]), np.array([0, 0, 5])
    large = error_p_values(n, errors, 0.05)
    small = error_p_values(n, errors, 0.05, np.array([10_000_000, 200, 100]))
    assert small[0] == pytest.approx(large[0], rel=1e-3)
    assert small[1] < large[1]
    assert small[2] == 0.0


@settings(deadline=None)
@given(st.floats(0.005, 0.2), st.floats(0.5, 0.99), st.just(0.0) | st.floats(0.01, 0.6))
def test_needed_labels_pass_with_the_errors_expected(target, confidence, share):
    rate = share * target
    needed = labels_needed(target, confidence, rate)
    expected = int(np.ceil(rate * needed - 1e-6))
    assert error_bound(needed, expected, confidence) <= target + 1e-9


def test_labels_as_bad_as_the_target_never_suffice():
    assert labels_needed(0.05, 0.95, 0.05) is None
    assert labels_needed(0.05, 0.95, 0.0, limit=58) is None


@pytest.mark.parametrize(("n", "errors", "confidence"), [(5, 6, 0.9), (5, -1, 0.9), (5, 1, 1.0)])
def test_impossible_counts_are_refused(n, errors, confidence):
    with pytest.raises(ValueError, match="Received: n=5"):
        error_bound(n, errors, confidence)
