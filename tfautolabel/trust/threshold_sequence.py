"""Which thresholds are tested, in which order, and where the tests start; the scores alone decide.

Let R(t) be the share of wrong labels among the labels that score above t. The error budget is one minus the
confidence. Thresholds are tested one after the other from strict to lax, each at the whole budget, until one
fails (the fixed-sequence test of Learn then Test, Angelopoulos et al., arXiv 2110.01052). The last one that
passes is used. The number of thresholds costs nothing, but a wrong start or one unlucky step ends the
sequence. Hence two choices, both made before any answer is looked at:

- A threshold is worth testing when one more error has just become affordable: with a target of 5 % and a
  confidence of 95 %, at 59, 93, 124, 153, … accepted examples. In between, the chance to pass only decreases.
- The start is the first such threshold with at least sqrt(0.3 x minimum x n) accepted examples. With few
  labels this is the minimum; with many labels, the start allows an error or two.

Why this is valid. The scores of n independent examples are sorted; the threshold for m accepted examples is
the score of number m + 1. Given that score, the m examples above it are independent draws from all that score
above it, so the count of errors among them is binomial with share R(t), although t came from the sample.

Suppose that R crosses the target once: there is a t* such that R(t) is above the target exactly for t below
t*. The first threshold in the sequence that must not pass is then the first one below t*; call it t, with m
examples above it. Let N be the number of examples above t*. Whether t is the first is decided by N and the
fixed sequence of m alone. Given t and N, the N examples above t* and the m - N between t and t* are
independent draws from their ranges; the shares of errors in the two ranges are at least the target (R(t*)
is, in the limit, and R(t) could not be above it otherwise). The errors are therefore at least as many as
binomial ones at the target, and the test passes with a probability of at most the budget. No later threshold
is looked at unless this one passes.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import binom

START = 0.3
"""Chosen from 0.3, 0.6 and 1 by the mean coverage on five data sets, with 70 to 500 labels."""


def efficient_counts(limit: int, target_error: float, budget: float) -> np.ndarray:
    """Returns the smallest numbers of examples with which 0, 1, 2, … errors pass.

    Args:
        limit: the largest number of examples.
        target_error: in (0, 1).
        budget: one minus the confidence, in (0, 1).

    Returns:
        (j,) int64, strictly increasing, none above the limit.

    Examples:
        >>> efficient_counts(150, 0.05, 0.05).tolist()
        [59, 93, 124]
    """
    counts = np.arange(1, limit + 1)
    # How many errors each number of examples allows; -1 if not even zero errors would pass.
    afforded = binom.ppf(budget, counts, target_error).astype(np.int64)
    afforded -= binom.cdf(afforded, counts, target_error) > budget
    before = np.concatenate([[-1], np.maximum.accumulate(afforded)[:-1]])
    return np.asarray(counts[afforded > before].astype(np.int64))


def sample_thresholds(scores: np.ndarray, target_error: float, budget: float) -> np.ndarray:
    """Returns the sequence of thresholds from the sample's own scores, beginning at the start.

    Args:
        scores: (n,) float32 of the labelled examples.
        target_error: in (0, 1).
        budget: in (0, 1).

    Returns:
        (j,) float32, decreasing; a label is accepted if its score is at least the threshold. Empty if there
        are too few examples for any threshold to pass. The last one accepts everything.
    """
    n = len(scores)
    counts = efficient_counts(n, target_error, budget)
    if len(counts) == 0:
        return np.zeros(0, np.float32)
    counts = counts[_start(counts, n) :]
    ordered = np.sort(scores)[::-1]
    below = ordered[counts[counts < n]]
    thresholds = _with_everything(np.nextafter(below, np.float32(np.inf)), ordered[-1])
    # Equal scores may leave fewer examples than intended: skips a start that cannot pass even without errors.
    accepted = n - np.searchsorted(ordered[::-1], thresholds)
    return np.asarray(thresholds[accepted >= efficient_counts(n, target_error, budget)[0]])


def _start(counts: np.ndarray, n: int) -> int:
    return min(int(np.searchsorted(counts, np.sqrt(START * counts[0] * n))), len(counts) - 1)


def _with_everything(thresholds: np.ndarray, lowest: np.float32) -> np.ndarray:
    """Adds the threshold that accepts everything: 0 for scores that are never negative."""
    everything = min(np.float32(0.0), lowest)
    return np.unique(np.append(thresholds, everything).astype(np.float32))[::-1]


def last_passed(p_values: np.ndarray, budget: float) -> int | None:
    """Returns the index of the last threshold before the first failing one; None if the first one fails."""
    failed = np.flatnonzero(~(p_values <= budget))
    passed = int(failed[0]) if len(failed) else len(p_values)
    return passed - 1 if passed else None
