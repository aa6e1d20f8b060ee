import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, sem

from tfautolabel.measures import accuracy_interval, standard_error

COUNTS = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


# Exact values: 0 of 10 is 1 - 0.025**(1/10); the others from Clopper and Pearson's tables.
@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.30849710781876083),
        (10, 10, 0.6915028921812392, 1.0),
        (5, 10, 0.18708602844739015, 0.8129139715526098),
        (1, 1, 0.025, 1.0),
    ],
)
def test_known_exact_values(correct, total, low, high):
    assert accuracy_interval(correct, total) == pytest.approx((low, high), abs=1e-12)


def test_zero_errors_in_59_audits_certify_5_percent_and_in_299_1_percent():
    assert accuracy_interval(59, 59, confidence=0.9)[0] >= 0.95 > accuracy_interval(58, 58, confidence=0.9)[0]
    assert accuracy_interval(299, 299, confidence=0.9)[0] >= 0.99 > accuracy_interval(298, 298, 0.9)[0]


@given(COUNTS, st.floats(0.5, 0.999))
def test_the_tails_hold_what_is_left_of_the_confidence(counts, confidence):
    correct, total = counts
    low, high = accuracy_interval(correct, total, confidence)
    tail = (1 - confidence) / 2
    assert 0.0 <= low <= correct / total <= high <= 1.0
    if correct:
        assert binom.sf(correct - 1, total, low) == pytest.approx(tail, rel=1e-6)
    if correct < total:
        assert binom.cdf(correct, total, high) == pytest.approx(tail, rel=1e-6)


@given(COUNTS)
def test_it_is_scipys_exact_interval_and_symmetric(counts):
    correct, total = counts
    expected = binomtest(correct, total).proportion_ci(0.95, method="exact")
    low, high = accuracy_interval(correct, total)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    assert accuracy_interval(total - correct, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_more_examples_make_it_narrower():
    widths = [high - low for low, high in (accuracy_interval(9 * n, 10 * n) for n in (1, 2, 5, 20))]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 4


@pytest.mark.parametrize(
    "arguments", [(0, 0), (-1, 5), (6, 5), (1, 2, 0.0), (1, 2, 1.0), (1, 2, float("nan"))]
)
def test_impossible_counts_are_refused(arguments):
    with pytest.raises(ValueError, match=r"Received: correct="):
        accuracy_interval(*arguments)


def test_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=50)
    assert standard_error(values) == pytest.approx(sem(values))
    assert standard_error(values[:1]) == 0.0
