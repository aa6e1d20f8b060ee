"""Greedy coverage of a pool: which examples stand for most of what no label stands for yet."""

from __future__ import annotations

import numpy as np

from tfautolabel.active.contract import PoolState
from tfautolabel.active.doubt import candidates, filled

_EQUAL = 1e-6  # of the first gain: sums of float32 differ by as much


def cover(state: PoolState, n: int, weights: np.ndarray, seed: int) -> np.ndarray:
    """Chooses rows that raise the weighted coverage of the pool most, one after the other.

    The coverage is the sum over the reference rows i of weight[i] times the kernel between i and the nearest
    row that is labelled or chosen. A further row never gains more than it would have before, so the greedy
    choice covers at least 63 % of the best possible (Nemhauser, Wolsey and Fisher, Mathematical Programming
    14, 1978).

    Args:
        state: of any pool.
        n: at least 0.
        weights: (r,) float32 > 0, one for each row of the geometry's reference.
        seed: orders rows with equal gains.

    Returns:
        (m,) int64 in the order of their gains, m = min(n, open rows).
    """
    looked_at = candidates(state, seed)
    kernel = state.geometry.similarity(looked_at)
    covered = state.geometry.covered(state.labelled)
    ranks = np.random.default_rng(seed).permutation(len(looked_at))
    gains = _gains(kernel, weights, covered)
    equal = _EQUAL * float(gains.max(initial=0.0))
    chosen: list[int] = []
    for _ in range(min(n, len(looked_at))):
        ties = np.flatnonzero(gains >= gains.max() - equal)
        best = int(ties[np.argmin(ranks[ties])])
        chosen.append(best)
        now = np.maximum(covered, kernel[:, best])
        # Only reference rows that come nearer change the gains of the others.
        nearer = np.flatnonzero(now > covered)
        gains -= _gains(kernel[nearer], weights[nearer], covered[nearer])
        gains += _gains(kernel[nearer], weights[nearer], now[nearer])
        gains[best] = -np.inf
        covered = now
    return filled(state, looked_at[np.array(chosen, np.int64)], n, seed)


def _gains(kernel: np.ndarray, weights: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Returns (m,) float64, what each column of the kernel would add to the coverage."""
    above = kernel - covered[:, None]
    return np.asarray(weights @ np.maximum(above, np.float32(0.0), out=above), np.float64)
