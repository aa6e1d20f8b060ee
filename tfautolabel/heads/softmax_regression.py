"""Multinomial logistic regression with an L2 penalty, solved as the convex problem that it is.

The objective is scikit-learn's: C times the summed cross-entropy plus half the squared norm of the weights,
the intercept not penalised. L-BFGS finds the minimum. With fewer
examples than features the problem is first turned into the span of the examples, which changes nothing in
the solution and makes it as small as the number of examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from tfautolabel.heads.lbfgs import minimize

PENALTIES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
"""The values of C that cross-validation tries, from the strongest regularisation to the weakest."""

_TOLERANCE = 1e-7
"""L-BFGS stops when a step lowers the objective by less than this share; cross-validation is less exact."""
_ROUGH_TOLERANCE = 1e-5
_PATIENCE = 2


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """A fitted model.

    Attributes:
        weights: (d, k) float32.
        bias: (k,) float32.
        penalty: the C that was used.
        out_of_fold: (n, k) float32, for each example the probabilities from a model that has not seen it;
            None if there was no cross-validation.
        losses: the mean out-of-fold cross-entropy for each C that was tried.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float
    out_of_fold: np.ndarray | None
    losses: dict[float, float]


def fit_softmax_regression(
    features: np.ndarray,
    class_ids: np.ndarray,
    n_classes: int,
    *,
    folds: np.ndarray | None = None,
    penalties: Sequence[float] = PENALTIES,
    sample_weight: np.ndarray | None = None,
) -> SoftmaxRegression:
    """Fits weights and bias; with folds, cross-validation chooses C by out-of-fold cross-entropy.

    Args:
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        n_classes: k.
        folds: (n,) int64, the fold in which each example is held out; None takes the only penalty given.
        penalties: ascending values of C > 0. Larger ones are no longer tried once two in a row were worse.
        sample_weight: (n,) float32 > 0, 1 for each example by default.

    Returns:
        The model, fitted on all examples.

    Raises:
        ValueError: If several penalties are given without folds to choose among them.
    """
    if folds is None and len(penalties) != 1:
        raise ValueError(
            f"several penalties need folds to choose among them. Received: penalties={penalties}"
        )
    weight = np.ones(len(features), np.float32) if sample_weight is None else sample_weight.astype(np.float32)
    # The intercept is free, so a shift of all features only shifts it; without their common part the problem
    # is far better conditioned.
    centre = np.average(features, axis=0, weights=weight).astype(np.float32)
    basis, coordinates = _span(np.asarray(features, np.float32) - centre)
    coordinates = np.hstack([coordinates, np.ones((len(coordinates), 1), np.float32)])
    targets = np.eye(n_classes, dtype=np.float32)[class_ids]
    start = np.zeros((coordinates.shape[1], n_classes), np.float32)
    best, out_of_fold = float(penalties[0]), None
    losses: dict[float, float] = {}
    if folds is not None:
        best, out_of_fold, losses, start = _choose(coordinates, targets, weight, folds, penalties, start)
    solution = _solve(coordinates, targets, weight, best, start, _TOLERANCE)
    weights = solution[:-1] if basis is None else basis @ solution[:-1]
    bias = solution[-1] - centre @ weights
    return SoftmaxRegression(weights.astype(np.float32), bias.astype(np.float32), best, out_of_fold, losses)


def _span(features: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """An orthonormal basis (d, n) of the examples and their coordinates (n, n), where that is smaller."""
    n, d = features.shape
    if n > d // 2:
        return None, features
    basis, triangle = np.linalg.qr(features.T)
    return basis, np.ascontiguousarray(triangle.T)


def _choose(
    coordinates: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray,
    folds: np.ndarray,
    penalties: Sequence[float],
    start: np.ndarray,
) -> tuple[float, np.ndarray, dict[float, float], np.ndarray]:
    """The best C, its out-of-fold probabilities, all losses, and a start for the fit on everything."""
    numbers = np.unique(folds)
    kept = [np.flatnonzero(folds != number) for number in numbers]
    data = [(coordinates[rows], targets[rows], weight[rows]) for rows in kept]
    solutions = [start] * len(numbers)
    losses: dict[float, float] = {}
    best, best_probabilities, best_start = float(penalties[0]), np.empty(0), start
    worse_in_a_row = 0
    for penalty in map(float, penalties):
        # Each fold continues from its solution for the penalty before, which is close.
        solutions = [
            _solve(*part, penalty, solution, _ROUGH_TOLERANCE)
            for part, solution in zip(data, solutions, strict=True)
        ]
        scores = np.empty_like(targets)
        for number, solution in zip(numbers, solutions, strict=True):
            held_out = folds == number
            scores[held_out] = coordinates[held_out] @ solution
        cross_entropy = -(log_softmax(scores, axis=1) * targets).sum(axis=1)
        losses[penalty] = float(np.average(cross_entropy, weights=weight))
        if losses[penalty] <= min(losses.values()):
            best, best_probabilities = penalty, softmax(scores, axis=1)
            best_start = np.mean(solutions, axis=0)
            worse_in_a_row = 0
        else:
            worse_in_a_row += 1
            if worse_in_a_row == _PATIENCE:
                break
    return best, best_probabilities, losses, best_start


def _solve(
    coordinates: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray,
    penalty: float,
    start: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Minimises the objective, divided by C and the total weight, from `start`; the last row is the bias."""
    total = float(weight.sum())
    decay = np.full((len(start), 1), 1.0 / (penalty * total), np.float32)
    decay[-1] = 0.0
    share = (weight / total)[:, None]

    def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = log_softmax(coordinates @ parameters, axis=1)
        value = -float(np.sum(log_probabilities * targets * share, dtype=np.float64))
        value += 0.5 * float(np.sum(decay * parameters**2, dtype=np.float64))
        residual = (np.exp(log_probabilities) - targets) * share
        return value, coordinates.T @ residual + decay * parameters

    return minimize(value_and_gradient, start, tolerance=tolerance)
