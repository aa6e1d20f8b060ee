"""Exact intervals for shares, the exact test of two shares on the same examples, the error of a mean."""

from __future__ import annotations

import numpy as np
from scipy.stats import beta, binom


def accuracy_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact binomial interval for an accuracy (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        correct: how many of the answers were right.
        total: how many answers there were, at least 1.
        confidence: in (0, 1), how often such intervals hold the true accuracy at least.

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
    """The exact two-sided test of McNemar (Psychometrika 12, 1947) of two answerers on the same examples.

    Only the examples tell that one of the two has right and the other wrong: if both were equally good, each
    would be as likely to be the one.

    Args:
        only_first: examples that only the first has right.
        only_second: examples that only the second has right.

    Returns:
        In (0, 1]: how likely at least so large a difference is between equally good ones.

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
    """Of the mean of some differences.

    Args:
        gains: (n,) float, n >= 1.

    Returns:
        At least 0; 0 for a single one, of which nothing is known.

    Examples:
        >>> round(standard_error(np.arange(4.0)), 4)
        0.6455
    """
    return float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0
