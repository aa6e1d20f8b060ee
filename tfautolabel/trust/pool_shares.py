"""Estimates the classes' shares of a pool from the classes that its examples are nearest to.

Some examples are nearest to a wrong class. The held-out labelled examples say how many of each class, so
expectation maximisation finds the shares with which they explain the pool (Saerens, Latinne and Decaestecker,
Adjusting the Outputs of a Classifier to New a Priori Probabilities, 2002, here with the nearest class as the
only output).
"""

from __future__ import annotations

import numpy as np

_STEPS = 200
_EXTRA = (
    0.5  # examples of each class that are added to what was seen: one half rightly near, one half anywhere
)
_TINY = 1e-12


def pool_shares(seen: np.ndarray, counts: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Returns the estimated shares of the classes.

    Args:
        seen: (k, k) how many held-out examples of each class (row) are nearest to each class (column). If
            only some scores count, the others are left out here and in `pool`.
        counts: (k,) how many held-out examples each class has, whatever their scores. A class without any
            gets no share.
        pool: (k,) how many examples of the pool are nearest to each class.

    Returns:
        (k,) shares that sum to 1; those of the held-out examples if no example of the pool counts.

    Examples:
        >>> seen = np.array([[8.0, 2.0], [0.0, 10.0]])
        >>> pool_shares(seen, np.array([10, 10]), np.array([80, 120])).round(1).tolist()
        [0.5, 0.5]
    """
    k, total = len(counts), float(seen.sum() / max(counts.sum(), 1))
    if pool.sum() == 0 or counts.sum() == 0:
        return np.asarray(counts / max(counts.sum(), 1))
    added = _EXTRA * total * 0.5 * (np.eye(k) + 1.0 / k)
    chances = np.where(counts[:, None] > 0, (seen + added) / (counts + _EXTRA)[:, None], 0.0)
    counting = chances.sum(axis=1)
    found = counts / counts.sum()
    for _ in range(_STEPS):
        parts = chances * found[:, None]
        parts = parts / np.maximum(parts.sum(axis=0), _TINY) * pool
        found = parts.sum(axis=1) / np.maximum(counting, _TINY)
    return np.asarray(found / found.sum())
