"""Tests from gate scores alone whether a pool contains a kind that nobody labelled.

If the labelled examples represent all of the pool, their held-out scores and the pool's scores have the same
distribution. Then the pool has more scores above the largest held-out scores only by chance. A kind without
labels makes the upper tail of the pool's scores too heavy. Exact tests at a few of the largest held-out
scores tell these two cases apart. They are hypergeometric, as in Fisher's test, so they allow for a small
pool; they share the level (a weighted Bonferroni bound).

If a test rejects, the threshold is lowered until few unlike examples are estimated to pass. The share of the
pool that is like the labelled examples is estimated from the number of low scores in the pool, as Storey does
for null p-values (A direct approach to false discovery rates, 2002), with one standard error as a margin.

If no test rejects at a larger level either, nothing in the pool is shown to be unlike. Then the pool says
better than a few held-out scores where the largest scores of like examples are: no more of the pool is
refused than was asked for. Between the two levels, the held-out scores decide alone.

The labels and the pool may have different shares of classes, and some classes score higher than others.
Therefore the held-out examples get the weights of the pool's shares (`tfautolabel.trust.pool_shares`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom

from tfautolabel.trust.pool_shares import pool_shares

LEVEL = 0.02
"""The largest chance that the threshold is lowered although the pool contains nothing unlike."""

SUSPECT = 0.05
"""The largest chance that more of such a pool is refused than was asked for."""

LEFT = 0.02
"""The share of unlike examples, among those that pass, at which the threshold is low enough."""

_LOWEST = 0.5  # the threshold never falls below the median of the held-out scores
_LIKE = 0.75  # in a pool with unlike examples, scores up to this held-out quantile tell the classes' shares


class Scored(NamedTuple):
    """Examples that a gate has scored.

    Attributes:
        scores: (n,) higher is more unlike.
        nearest: (n,) int64 in [0, k), the class that each example is nearest to.
    """

    scores: np.ndarray
    nearest: np.ndarray


class Threshold(NamedTuple):
    """The score above which examples are refused.

    Attributes:
        value: the score.
        few: whether so few held-out scores would refuse more than was asked for, and so the pool decided.
    """

    value: float
    few: bool


def threshold_for(held_out: Scored, class_ids: np.ndarray, pool: Scored | None, refused: float) -> Threshold:
    """Returns from which score on examples are refused.

    Without a pool, this is a quantile of the held-out scores, or with too few of them the largest one.

    Args:
        held_out: n labelled examples, scored by gates that have not seen them.
        class_ids: (n,) int64 in [0, k), their true classes.
        pool: p examples without labels, scored by the gate; None without a pool.
        refused: the share of examples like the labelled ones that may be refused, in (0, 1).
    """
    alone = _quantile(held_out.scores, refused)
    if pool is None:
        return Threshold(alone, False)
    scores = held_out.scores
    k = int(max(held_out.nearest.max(), class_ids.max(), pool.nearest.max())) + 1
    cuts = np.sort(scores)[::-1][: max(1, int(len(scores) * _LOWEST))]
    chance = _chance_of_so_many(held_out, class_ids, pool, cuts, k)
    if chance > SUSPECT:
        enough = _quantile(pool.scores, refused)
        few = enough > alone and (len(scores) + 1) * refused < 1.0
        return Threshold(max(alone, enough), few)
    if chance > LEVEL:
        return Threshold(alone, False)
    return Threshold(min(alone, _lowered(held_out, class_ids, pool, cuts, k)), False)


def _quantile(scores: np.ndarray, above: float) -> float:
    """Returns the lowest score that a share of new scores exceeds, or the largest if there are too few."""
    rank = min(int(np.ceil((len(scores) + 1) * (1.0 - above))), len(scores))
    return float(np.sort(scores)[rank - 1])


def _chance_of_so_many(
    held_out: Scored, class_ids: np.ndarray, pool: Scored, cuts: np.ndarray, k: int
) -> float:
    """Returns at most how likely so many high scores are in a pool that is like the held-out examples."""
    # As long as nothing is shown to be unlike, all of the pool is of the labelled classes.
    weights = _weights(held_out, class_ids, pool, k)
    size, p = _effective_size(weights), len(pool.scores)
    n = int(size)
    above = (1.0 - _share_up_to(cuts, held_out.scores, weights)) * size
    # 0, 1, 2, 4, 8, ... held-out scores above the cut: the cuts between them give nearly the same result.
    wanted = np.unique(np.concatenate([[0], 2 ** np.arange(max(n // 2, 1).bit_length())]))
    places = np.searchsorted(above, wanted[wanted < max(1.0, n / 2)] + 1e-9, side="right") - 1
    places = np.unique(places[places >= 0])
    pool_above = p - np.searchsorted(np.sort(pool.scores), cuts[places], side="right")
    few = np.ceil(above[places] - 1e-9).astype(np.int64)
    p_values = hypergeom.cdf(few, n + p, few + pool_above, n)
    # One half of the level is for the largest score: with a dozen labels, only that test can reject.
    parts = np.full(len(places), 0.5 / max(len(places) - 1, 1))
    parts[0] = 0.5 if len(places) > 1 else 1.0
    return float((p_values / parts).min())


def _lowered(held_out: Scored, class_ids: np.ndarray, pool: Scored, cuts: np.ndarray, k: int) -> float:
    """Returns the highest cut at which the unlike examples are estimated to be few of those that pass."""
    low = float(np.quantile(held_out.scores, _LIKE))
    weights = _weights(held_out, class_ids, pool, k, low)
    size = _effective_size(weights)
    above = (1.0 - _share_up_to(cuts, held_out.scores, weights)) * size
    like = 1.0 - (above + 0.5) / (size + 1.0)
    high = like >= _LOWEST
    if not high.any():
        return float(cuts[0])
    cuts, like = cuts[high], like[high]
    doubt = np.sqrt((1.0 - like) / (like * size))
    passed = np.searchsorted(np.sort(pool.scores), cuts, side="right") / len(pool.scores)
    share_like = min(1.0, float((passed / like * (1.0 + doubt)).min()))
    enough = passed - share_like * like <= LEFT * passed
    return float(cuts[enough.argmax()] if enough.any() else cuts[-1])


def _weights(
    held_out: Scored, class_ids: np.ndarray, pool: Scored, k: int, highest: float = np.inf
) -> np.ndarray:
    """Returns (n,) weights with which the classes of the held-out examples have their shares of the pool."""
    counts = np.bincount(class_ids, minlength=k)
    low, pool_low = held_out.scores <= highest, pool.scores <= highest
    seen = np.zeros((k, k))
    np.add.at(seen, (class_ids[low], held_out.nearest[low]), 1.0)
    shares = pool_shares(seen, counts, np.bincount(pool.nearest[pool_low], minlength=k))
    return np.asarray((shares / np.maximum(counts, 1))[class_ids])


def _effective_size(weights: np.ndarray) -> float:
    """Returns how many examples of equal weight would be as informative (Kish)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def _share_up_to(cuts: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns (j,) the weighted share of scores that are at most each cut."""
    order = np.argsort(scores, kind="stable")
    summed = np.concatenate([[0.0], np.cumsum(weights[order])])
    return np.asarray(summed[np.searchsorted(scores[order], cuts, side="right")] / summed[-1])
