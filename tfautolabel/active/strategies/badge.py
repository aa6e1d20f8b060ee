"""Asks examples that would move the head far, in different directions.

Ash, Zhang, Krishnamurthy, Langford and Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient
Lower Bounds, ICLR 2020 (arXiv 1906.03671): k-means++ on the gradients of the last layer, taking the guess as
right.
"""

from __future__ import annotations

import numpy as np

from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.doubt import candidates, filled
from tfautolabel.active.strategies.herding import herding

REASON = "An answer would change the model much, and otherwise than the other answers."


def badge(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses by k-means++ on gradients; see `Strategy`. Without a head it is `herding`."""
    if state.probabilities is None:
        return herding(state, n, seed=seed)
    rng = np.random.default_rng(seed)
    rows = candidates(state, seed)
    units = state.geometry.units(rows)
    residuals = np.array(state.probabilities[rows], np.float32)
    residuals[np.arange(len(rows)), residuals.argmax(axis=1)] -= 1.0
    lengths = np.sum(residuals * residuals, axis=1)

    def squares_to(row: int) -> np.ndarray:
        """A gradient is the outer product of residual and feature, so products of both are enough."""
        products = (residuals @ residuals[row]) * (units @ units[row])
        return np.asarray(np.maximum(lengths + lengths[row] - 2.0 * products, 0.0), np.float64)

    # k-means++ starts anywhere; the longest gradient is the most that one answer can teach.
    ranks, far = rng.permutation(len(rows)), np.asarray(lengths, np.float64)
    chosen: list[int] = []
    for _ in range(min(n, len(rows))):
        if not chosen:
            best = int(np.lexsort((ranks, -far))[0])
        else:
            far[chosen] = 0.0
            total = far.sum()
            left = np.setdiff1d(np.arange(len(rows)), chosen)
            best = int(rng.choice(len(rows), p=far / total) if total > 0.0 else rng.choice(left))
        chosen.append(best)
        far = np.minimum(far, squares_to(best)) if len(chosen) > 1 else squares_to(best)
    return Chosen.alike(filled(state, rows[np.array(chosen, np.int64)], n, seed), REASON)
