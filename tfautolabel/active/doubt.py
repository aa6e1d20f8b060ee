"""How unsure a head is of each example, and which examples are worth a closer look."""

from __future__ import annotations

import numpy as np

from tfautolabel.active.contract import PoolState

DOUBTFUL = 2 / 3
"""The share of the most doubtful rows among those to look at in a large pool; the others are random."""

_LEAST_DOUBT = 1e-6  # so that coverage decides where the head is sure of everything
_PART_ROWS = 65536
_TIES = 1e-9  # below the precision of float32


def doubts(state: PoolState, rows: np.ndarray) -> np.ndarray:
    """Returns (m,) float32 in (0, 1]: 1 minus the margin between the two likeliest classes; 1 without a head.

    Args:
        state: with (n, k) probabilities or None.
        rows: (m,) int64.
    """
    known = state.probabilities
    if known is None:
        return np.ones(len(rows), np.float32)
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _PART_ROWS):
        part = np.asarray(known[rows[start : start + _PART_ROWS]], np.float32)
        if part.shape[1] < 2:
            found[start : start + len(part)] = 0.0
            continue
        top = np.partition(part, part.shape[1] - 2, axis=1)[:, -2:]
        found[start : start + len(part)] = 1.0 - (top[:, 1] - top[:, 0])
    return np.maximum(found, np.float32(_LEAST_DOUBT))


def most_doubtful(state: PoolState, rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Returns min(n, m) of the rows, the most doubtful first; the seed orders equal ones.

    Args:
        state: with (n, k) probabilities or None.
        rows: (m,) int64.
        n: at least 0.
        seed: orders equal ones.
    """
    value = doubts(state, rows) + _TIES * np.random.default_rng(seed).random(len(rows))
    n = min(n, len(rows))
    if n == 0:
        return np.zeros(0, np.int64)
    best = np.argpartition(-value, n - 1)[:n]
    return np.asarray(rows[best[np.argsort(-value[best])]])


def candidates(state: PoolState, seed: int) -> np.ndarray:
    """Returns (m,) int64, ascending, the open rows that a strategy looks at: all of a small pool.

    Args:
        state: of any pool.
        seed: decides which random rows of a large pool are looked at.
    """
    free, most = state.open, state.geometry.whole
    if len(free) <= most:
        return free
    rng = np.random.default_rng(seed)
    if state.probabilities is None:
        return np.sort(rng.choice(free, most, replace=False))
    doubtful = most_doubtful(state, free, int(DOUBTFUL * most), seed)
    others = np.setdiff1d(free, doubtful, assume_unique=True)
    return np.union1d(doubtful, rng.choice(others, most - len(doubtful), replace=False))


def filled(state: PoolState, rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Returns the chosen rows, and random open rows below them where more are asked than were looked at.

    Args:
        state: of any pool.
        rows: (m,) int64, open rows that were chosen.
        n: how many to return, if so many are open.
        seed: decides which random rows they are.
    """
    if len(rows) >= n:
        return rows
    left = np.setdiff1d(state.open, rows, assume_unique=True)
    return np.concatenate([rows, np.random.default_rng(seed).permutation(left)[: n - len(rows)]])
