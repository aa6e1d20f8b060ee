"""The classes' shares in a pool, where held-out labels show that they are others than among the labels.

Labels often come as so many a class; a pool does not. Expectation maximisation finds shares with which the
mean prediction over the pool agrees (Saerens, Latinne and Decaestecker, Adjusting the Outputs of a
Classifier to New a Priori Probabilities, Neural Computation 14, 2002). Left alone it finds shifts where
there are none, and cost up to 13 points with one label a class. Here the mean prediction over the pool
must first be off from that over held-out labels by more than their number explains, and the shares found
are held back half way.
"""

from __future__ import annotations

import numpy as np

STANDARD_ERRORS = 3.0
"""From here on shares count as different; 2 fires too often."""

LABELS = 4
"""Fewer labels in a class cannot tell other shares from a bad head."""

_HELD_BACK = 0.5
"""So many times the whole pool the labels' shares count."""
_STEPS = 30
_LEAST_ERROR = 1e-3


def shift_in_errors(pool: np.ndarray, held_out: np.ndarray, weights: np.ndarray) -> float:
    """Returns how many standard errors the pool's mean prediction is off at the class where it is off most.

    Args:
        pool: (m, k) probabilities, rows sum to 1.
        held_out: (n, k), of labelled examples.
        weights: (n,) > 0, by which the labelled examples have the shares that a head expects.
    """
    share = weights / weights.sum()
    mean = share @ held_out
    error = np.sqrt((share[:, None] ** 2 * (held_out - mean) ** 2).sum(axis=0)) + _LEAST_ERROR
    off = np.abs(pool.mean(axis=0) - mean)
    return float((off / error)[off.argmax()])


def share_factors(pool: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Returns (k,) factors for probabilities, after which rows are made to sum to 1 again.

    Args:
        pool: (m, k) probabilities under the expected shares.
        expected: (k,) > 0, the shares that the head expects; they sum to 1.
    """
    shares = expected
    for _ in range(_STEPS):
        found = with_factors(pool, shares / expected).mean(axis=0)
        shares = (found + _HELD_BACK * expected) / (1.0 + _HELD_BACK)
    return np.asarray(shares / expected)


def with_factors(probabilities: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns (n, k) probabilities times factors; rows sum to 1."""
    found = probabilities * factors
    return np.asarray(found / found.sum(axis=1, keepdims=True))
