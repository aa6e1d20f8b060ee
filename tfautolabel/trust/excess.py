"""Tests from gate scores alone whether a pool contains a kind that nobody labelled.

If the labelled examples represent all of the pool, their held-out scores and the pool's scores have the same
distribution. Then the pool has more scores above the largest held-out scores only by chance. A kind without
labels makes the upper tail of the pool's scores too heavy. Exact tests at a few of the largest held-out
scores tell these two cases apart. They are hypergeometric, as in Fisher's test, so they allow for a small
pool; they share the level (Bonferroni). Only if a test rejects, the threshold is lowered, until few unlike
examples are estimated to pass. The share of the pool that is like the labelled examples is estimated from the
number of low scores in the pool, as Storey does for null p-values (A direct approach to false discovery
rates, 2002), with one standard error as a margin.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

LEVEL = 0.05
"""The largest chance that the threshold is lowered although the pool contains nothing unlike."""

LEFT = 0.02
"""The share of unlike examples, among those that pass, at which the threshold is low enough."""

_LOWEST = 0.5  # the threshold never falls below the median of the held-out scores


def lowered_threshold(
    threshold: float,
    held_out: np.ndarray,
    held_out_groups: np.ndarray,
    pool: np.ndarray,
    pool_groups: np.ndarray,
) -> float:
    """Returns the threshold, lowered if the pool has more high scores than held-out examples explain.

    The labels and the pool may have different shares of classes. So the pool is weighted: every group gets
    the share that it has among the held-out examples.

    Args:
        threshold: examples with a higher score are refused, whatever the pool is.
        held_out: (n,) scores of labelled examples from gates that have not seen them; higher is more unlike.
        held_out_groups: (n,) int64 >= 0, such as the class that each example is nearest to.
        pool: (p,) scores of the pool.
        pool_groups: (p,) int64 >= 0, the groups of the pool by the same rule.

    Returns:
        At most `threshold`.
    """
    n, k = len(held_out), int(max(held_out_groups.max(initial=0), pool_groups.max(initial=0))) + 1
    wanted, there = (np.bincount(groups, minlength=k) for groups in (held_out_groups, pool_groups))
    weights = (wanted / np.maximum(there, 1))[pool_groups]
    total = float(weights.sum())
    # Kish's effective size: so many examples of equal weight would be as informative.
    size = int(total**2 / float((weights**2).sum())) if total > 0 else 0
    steps = int(n * _LOWEST)
    if size == 0 or steps == 0:
        return threshold
    cuts = np.sort(held_out)[::-1][:steps]
    passed = _share_up_to(cuts, pool, weights)
    # 0, 1, 2, 4, 8, ... held-out scores above the cut: the cuts between them give nearly the same result.
    above = np.unique(np.concatenate([[0], 2 ** np.arange(steps.bit_length())]))
    above = above[above < steps]
    pool_above = np.round((1.0 - passed[above]) * size).astype(np.int64)
    p_values = hypergeom.cdf(above, n + size, above + pool_above, n)
    if p_values.min() > LEVEL / len(above):
        return threshold
    like = 1.0 - (np.arange(steps) + 0.5) / (n + 1)
    doubt = np.sqrt((1.0 - like) / (like * n))
    share_like = min(1.0, float((passed / like * (1.0 + doubt)).min()))
    enough = passed - share_like * like <= LEFT * passed
    lowered = cuts[enough.argmax()] if enough.any() else cuts[-1]
    return min(float(lowered), threshold)


def _share_up_to(cuts: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns (j,) the weighted share of scores that are at most each cut."""
    order = np.argsort(scores, kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(weights[order])])
    return np.asarray(summed[np.searchsorted(scores[order], cuts, side="right")] / summed[-1])
