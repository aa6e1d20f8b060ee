"""Asks what lowers the variance of the head's scores over the pool most.

Yu, Bi and Tresp, Active Learning via Transductive Experimental Design, ICML 2006: the variance that a linear
model has after an answer does not depend on the answer. Here examples count by the head's doubt, as in a
Laplace approximation: an example that the head is sure of teaches little and has little to win.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.doubt import candidates, filled

NOISE = 0.1
"""The variance of an answer to the most doubtful example, where a score before any answer has 1."""
REASON = "An answer would make the model surer of many other examples."

_LEAST_IMPURITY, _MOST_IMPURITY = 1e-3, 0.5  # the most that two classes can have
_PART_ROWS = 2048


def variance(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses by the variance that is left; see `Strategy`. Without a head all examples count the same."""
    rows, reference = candidates(state, seed), state.geometry.reference
    noise = NOISE * _MOST_IMPURITY / np.maximum(_impurities(state, rows), _LEAST_IMPURITY)
    targets = _impurities(state, reference)
    known = _knowledge(state)
    of_rows, of_reference = known.whitened(rows), known.whitened(reference)
    covariances = of_reference @ of_rows.T
    variances = np.sum(of_rows * of_rows, axis=1)
    ranks = np.random.default_rng(seed).permutation(len(rows))
    learnt: list[np.ndarray] = []
    chosen: list[int] = []
    for _ in range(min(n, len(rows))):
        gains = (targets @ (covariances * covariances)) / (variances + noise)
        gains[chosen] = -np.inf
        best = int(np.lexsort((ranks, -gains))[0])
        chosen.append(best)
        step = of_rows @ of_rows[best]
        for before in learnt:
            step -= before * before[best]
        step /= np.sqrt(variances[best] + noise[best])
        covariances -= np.outer(covariances[:, best] / np.sqrt(variances[best] + noise[best]), step)
        variances = np.maximum(variances - step * step, np.float32(0.0))
        learnt.append(step)
    return Chosen.alike(filled(state, rows[np.array(chosen, np.int64)], n, seed), REASON)


def _impurities(state: PoolState, rows: np.ndarray) -> np.ndarray:
    """Returns (m,) float32 in [0, 1], how mixed the guesses are; without a head, as mixed as two classes."""
    if state.probabilities is None:
        return np.full(len(rows), _MOST_IMPURITY, np.float32)
    return np.asarray(1.0 - np.square(state.probabilities[rows]).sum(axis=1), np.float32)


class _Knowledge:
    """What a linear model knows after some answers.

    Args:
        precision: (d, d) float64, the inverse of the covariance of its weights.
    """

    def __init__(self, state: PoolState, precision: np.ndarray) -> None:
        self.state = state
        self.root = cholesky(precision, lower=True)

    def whitened(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, d) float32, whose products are the covariances of the rows' scores."""
        units = self.state.geometry.units(rows)
        return np.ascontiguousarray(solve_triangular(self.root, units.T, lower=True).T, np.float32)


def _knowledge(state: PoolState) -> _Knowledge:
    labelled, d = np.unique(state.labelled), np.shape(state.features)[1]
    precision = np.eye(d)
    for start in range(0, len(labelled), _PART_ROWS):
        part = labelled[start : start + _PART_ROWS]
        weights = np.maximum(_impurities(state, part), _LEAST_IMPURITY) / (NOISE * _MOST_IMPURITY)
        units = state.geometry.units(part)
        precision += (units * weights[:, None]).T @ units
    return _Knowledge(state, precision)
