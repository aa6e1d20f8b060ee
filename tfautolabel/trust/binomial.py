"""Exact bounds and p-values from counted errors, and how many labels a claim needs."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import beta, binom, hypergeom


def check_levels(target_error: float, confidence: float) -> None:
    """Checks that a target and a confidence are strictly between 0 and 1.

    Raises:
        ValueError: If one is not in (0, 1).
    """
    for name, value in (("target_error", target_error), ("confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{name} must lie between 0 and 1, both excluded. Received: {name}={value}")


def error_bound(n: int, errors: int, confidence: float = 0.95) -> float:
    """Returns the exact one-sided upper bound of an error rate (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        n: how many independent examples were checked.
        errors: how many of them were wrong, in [0, n].
        confidence: in (0, 1), how often such bounds are at least the true error rate.

    Returns:
        The bound in [0, 1]; 1 if no example was checked.

    Raises:
        ValueError: If the counts are not 0 <= errors <= n or the confidence is not in (0, 1).

    Examples:
        >>> round(error_bound(59, 0), 4), round(error_bound(93, 1), 4)
        (0.0495, 0.05)
    """
    if not 0 <= errors <= n or not 0.0 < confidence < 1.0:
        raise ValueError(
            "counts must be 0 <= errors <= n and confidence between 0 and 1. Received: "
            f"n={n}, errors={errors}, confidence={confidence}"
        )
    return 1.0 if errors == n else float(beta.ppf(confidence, errors + 1, n - errors))


def error_p_values(
    n: np.ndarray, errors: np.ndarray, target_error: float, sizes: np.ndarray | None = None
) -> np.ndarray:
    """Returns how likely so few errors are if the share of errors is just above the target.

    Without `sizes` the examples are drawn independently, and the tail is binomial. With `sizes` the n
    examples are a simple random sample without replacement from a finite set of this size; at least
    floor(target x size) + 1 of the set would be wrong. This tail is hypergeometric, which is smaller.

    Args:
        n: (j,) int, how many examples were checked.
        errors: (j,) int, errors among them.
        target_error: in (0, 1).
        sizes: (j,) int, the sizes of the finite sets that the examples are drawn from.

    Returns:
        (j,) float64 in [0, 1]. If the share of errors is above the target, each is at most x with probability
        at most x.
    """
    if sizes is None:
        return np.asarray(binom.cdf(errors, n, target_error))
    wrong = np.minimum(np.floor(target_error * sizes + 1e-9).astype(np.int64) + 1, sizes)
    return np.asarray(hypergeom.cdf(errors, sizes, wrong, n))


def labels_needed(
    target_error: float, confidence: float = 0.95, error_rate: float = 0.0, limit: int = 1_000_000
) -> int | None:
    """Returns the fewest labels that certify a target, if a given share of them turns out wrong.

    Args:
        target_error: in (0, 1).
        confidence: in (0, 1).
        error_rate: the expected share of errors among the labels; the number of errors is rounded up.
        limit: the largest number of labels that is tried.

    Returns:
        The count, or None if no number up to the limit is enough.

    Raises:
        ValueError: If a level is not in (0, 1).

    Examples:
        >>> labels_needed(0.05), labels_needed(0.01), labels_needed(0.05, error_rate=0.01)
        (59, 299, 93)
        >>> labels_needed(0.05, error_rate=0.05) is None
        True
    """
    check_levels(target_error, confidence)
    first = math.ceil(math.log(1.0 - confidence) / math.log1p(-target_error))
    if error_rate <= 0.0:
        return first if first <= limit else None
    if error_rate >= target_error:
        return None
    # Sizes at which one more error is expected: between two of them, a larger sample is always better.
    expected = np.arange(1, int(error_rate * limit) + 2)
    largest = np.floor(np.minimum(expected / error_rate, limit) + 1e-9).astype(np.int64)
    passes = binom.cdf(expected, largest, target_error) <= 1.0 - confidence
    if not passes.any():
        return None
    at = int(passes.argmax())
    low = max(first, 1 if at == 0 else int(largest[at - 1]) + 1)
    sizes = np.arange(low, int(largest[at]) + 1)
    return int(sizes[(binom.cdf(expected[at], sizes, target_error) <= 1.0 - confidence).argmax()])
