"""Exact intervals for shares, an exact test for two shares on the same examples, a mean's standard error."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta, binom


def accuracy_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the exact binomial interval of an accuracy (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        correct: how many of the answers were right.
        total: how many answers there were, at least 1.
        confidence: in (0, 1); at least this share of such intervals contains the true accuracy.

    Returns:
        Lower and upper bound in [0, 1].

    Raises:
        ValueError: If the counts are not 0 <= correct <= total, 1 <= total, or `confidence` is not in (0, 1).

    Examples:
        >>> low, high = accuracy_interval(59, 59, confidence=0.9)
        >>> round(low, 3), high
        (0.95, 1.0)
    """
    if not 0 <= correct <= total or total < 1 or not 0.0 < confidence < 1.0:
        raise ValueError(
            "counts must be 0 <= correct <= total with total at least 1, and confidence between 0 and 1. "
            f"Received: correct={correct}, total={total}, confidence={confidence}"
        )
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if correct == 0 else float(beta.ppf(tail, correct, total - correct + 1))
    high = 1.0 if correct == total else float(beta.ppf(1.0 - tail, correct + 1, total - correct))
    return low, high


def paired_p_value(only_first: int, only_second: int) -> float:
    """Returns the p-value of McNemar's exact two-sided test of two classifiers on the same examples.

    See Psychometrika 12, 1947. Only the examples count that exactly one of the two classifies right. If both
    were equally good, each would be equally likely to be the one that is right.

    Args:
        only_first: examples that only the first has right.
        only_second: examples that only the second has right.

    Returns:
        In (0, 1]: how likely a difference at least this large is if both are equally good.

    Raises:
        ValueError: If a count is negative.

    Examples:
        >>> round(paired_p_value(7, 0), 3), paired_p_value(0, 0)
        (0.016, 1.0)
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts must not be negative. Received: {only_first}, {only_second}")
    differ = only_first + only_second
    return min(1.0, 2.0 * float(binom.cdf(min(only_first, only_second), differ, 0.5)))


def standard_error(gains: np.ndarray) -> float:
    """Returns the standard error of the mean of some differences.

    Args:
        gains: (n,) float, n >= 1.

    Returns:
        At least 0; 0 for a single difference, whose spread is unknown.

    Examples:
        >>> round(standard_error(np.arange(4.0)), 4)
        0.6455
    """
    return float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
