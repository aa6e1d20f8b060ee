"""Multinomial logistic regression with an L2 penalty, solved as a convex problem.

The objective is scikit-learn's: C times the summed cross-entropy plus half the squared norm of the weights;
the intercept has no penalty. L-BFGS finds the minimum. With fewer examples than features, the problem is
first projected onto the span of the examples. This does not change the solution, and it reduces the dimension
to the number of examples.

With few labels, the C that is best for the decisions gives scores that are too small for good probabilities.
Cross-validation therefore chooses C and a temperature separately: for each C it fits one temperature to the
held-out scores, and then compares the values of C by the cross-entropy. Few labels say little about C, so a
prior keeps C near a value that suits normalised features in general, until the data clearly prefer another
one.

A score is the logarithm of the class's share plus the evidence beyond it. If scores are too small, only their
evidence is scaled up; the shares stay. If held-out examples do not support the evidence, the whole score is
scaled down, which changes no decision. Scaling down only the evidence would leave the decision to the shares,
which few labels hardly know. Holding an example out must also not change the shares that the others are
fitted to: a class with two labels would lose half of its share exactly when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tfautolabel.heads.lbfgs import minimize

CS = (0.0625, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
"""The values of C that cross-validation may choose, from the strongest regularisation to the weakest."""

USUAL_C = 12.0
"""The mode of the prior over C; chosen on the sets of `benchmarks/few_labels.py` and `accuracy.py`."""
PRIOR_WIDTH = 0.7 * float(np.log(4.0))
"""The width of the prior in log C: one step of `CS` costs about one nat. Chosen on the same sets."""

C_LABELS = 5
"""Classes with fewer labels do not influence C: holding out some of their labels removes so much that the
best C for the rest is not the best C for all."""
UNCHOSEN_C = 64.0
"""The mode of the prior over C if each class has at least two labels and no class has enough to choose C. For
features that suit the classes, this mode hardly matters; other features lose up to two points with the usual
mode. Classes with a single label do better with the usual mode. Chosen on seeds 20 to 31 of ten sets and
backbones."""

_TEMPERATURES = (-1.0, 8.0)
"""The range for the natural logarithm of the inverse temperature. A few held-out examples are no reason for
probabilities that say nothing."""

_TOLERANCE = 1e-7
"""L-BFGS stops when a step lowers the objective by less than this share; cross-validation is less exact."""
_ROUGH_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class SoftmaxRegression:
    """A fitted model.

    Attributes:
        weights: (d, k) float32.
        bias: (k,) float32.
        C: the inverse strength of the penalty.
        scale: the inverse temperature, already included in weights and bias; 1 without cross-validation.
            Above 1 it multiplies the evidence beyond the classes' shares, below 1 the whole score.
        out_of_fold: (n, k) float32, each example's probabilities from a model that has not seen it; None
            without cross-validation.
        losses: the mean out-of-fold cross-entropy, after temperature scaling, for each C that was tried.
            Leaves out the only example of a class.
    """

    weights: np.ndarray
    bias: np.ndarray
    C: float
    scale: float
    out_of_fold: np.ndarray | None
    losses: dict[float, float]


def fit_softmax_regression(
    features: np.ndarray,
    class_ids: np.ndarray,
    n_classes: int,
    *,
    folds: np.ndarray | None = None,
    Cs: Sequence[float] = CS,
    sample_weight: np.ndarray | None = None,
) -> SoftmaxRegression:
    """Fits weights and bias; with folds, cross-validation chooses C and the scale of the scores.

    A class whose examples are all held out together, as an only example is, does not influence this choice:
    a model that has not seen them cannot be right, for any C and scale. Classes with fewer than `C_LABELS`
    labels do not influence C.

    Args:
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        n_classes: k.
        folds: (n,) int64, the fold in which each example is held out; with None, `Cs` must have one value.
        Cs: ascending values of C > 0 to choose from.
        sample_weight: (n,) float32 > 0, 1 for each example by default. The model expects each class to have
            its share of the total weight.

    Returns:
        The model, fitted on all examples. After cross-validation, its weights and bias include the
        temperature.

    Raises:
        ValueError: If several values of C are given without folds to choose among them.
    """
    if folds is None and len(Cs) != 1:
        raise ValueError(f"several values of C need folds to choose among them. Received: Cs={Cs}")
    weight = np.ones(len(features), np.float32) if sample_weight is None else sample_weight.astype(np.float32)
    # The intercept has no penalty, so a shift of all features only shifts it; without the mean, the problem
    # is much better conditioned.
    centre = np.average(features, axis=0, weights=weight).astype(np.float32)
    basis, coordinates = _span(np.asarray(features, np.float32) - centre)
    coordinates = np.hstack([coordinates, np.ones((len(coordinates), 1), np.float32)])
    targets = np.eye(n_classes, dtype=np.float32)[class_ids]
    start = np.zeros((coordinates.shape[1], n_classes), np.float32)
    C, scale, out_of_fold = float(Cs[0]), 1.0, None
    losses: dict[float, float] = {}
    if folds is not None:
        trials = _cross_validate(coordinates, targets, weight, folds, Cs)
        losses = {trial.C: trial.loss for trial in trials}
        best = min(trials, key=lambda trial: trial.objective)
        C, scale, out_of_fold, start = best.C, best.scale, best.probabilities, best.start
    solution = scale * _solve(coordinates, targets, weight, C, start, _TOLERANCE)
    if scale > 1.0:
        solution[-1] += (1.0 - scale) * _log_prior(targets, weight)
    weights = solution[:-1] if basis is None else basis @ solution[:-1]
    bias = solution[-1] - centre @ weights
    return SoftmaxRegression(
        weights.astype(np.float32), bias.astype(np.float32), C, scale, out_of_fold, losses
    )


def fit_soft_labels(
    features: np.ndarray, targets: np.ndarray, C: float, *, sample_weight: np.ndarray
) -> SoftmaxRegression:
    """Fits weights and bias to probabilities of the classes.

    The same is found if each example stands there once for each class, with the class's probability as its
    weight; but this takes k times less memory.

    Args:
        features: (n, d) float32.
        targets: (n, k) float32, rows sum to 1; each class has a share of some example.
        C: the inverse strength of the penalty, > 0.
        sample_weight: (n,) float32 > 0.

    Returns:
        The model, without cross-validation.
    """
    weight = sample_weight.astype(np.float32)
    centre = np.average(features, axis=0, weights=weight).astype(np.float32)
    basis, coordinates = _span(np.asarray(features, np.float32) - centre)
    coordinates = np.hstack([coordinates, np.ones((len(coordinates), 1), np.float32)])
    start = np.zeros((coordinates.shape[1], targets.shape[1]), np.float32)
    solution = _solve(coordinates, targets.astype(np.float32), weight, C, start, _TOLERANCE)
    weights = solution[:-1] if basis is None else basis @ solution[:-1]
    bias = solution[-1] - centre @ weights
    return SoftmaxRegression(weights.astype(np.float32), bias.astype(np.float32), C, 1.0, None, {})


def left_out_probabilities(
    model: SoftmaxRegression,
    features: np.ndarray,
    class_ids: np.ndarray,
    groups: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
) -> np.ndarray:
    """Predicts some examples with models that have seen all examples but a few.

    The folds that chose C leave out a fifth of the examples, so the models that judge them know less than the
    final one. Where groups are small, these models know nearly as much. C and the scale stay as chosen.

    Args:
        model: as `fit_softmax_regression` has fitted it to the same examples.
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        groups: (n,) int64, the examples that are left out together; -1 for those that stay in each model.
        sample_weight: as for the fit.

    Returns:
        (n, k) float32, rows of zeros where the group is -1.
    """
    found = np.zeros((len(features), model.weights.shape[1]), np.float32)
    for out, weights, bias in left_out_models(
        model, features, class_ids, groups, sample_weight=sample_weight
    ):
        found[out] = softmax(np.asarray(features, np.float32)[out] @ weights + bias, axis=1)
    return found


def left_out_models(
    model: SoftmaxRegression,
    features: np.ndarray,
    class_ids: np.ndarray,
    groups: np.ndarray,
    *,
    sample_weight: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Fits a model without each group of examples; see `left_out_probabilities`.

    Yields:
        (n,) bool, the examples that are left out; the model's (d, k) weights and (k,) bias, both float32 and
        with the scale.
    """
    weight = np.ones(len(features), np.float32) if sample_weight is None else sample_weight.astype(np.float32)
    centre = np.average(features, axis=0, weights=weight).astype(np.float32)
    basis, coordinates = _span(np.asarray(features, np.float32) - centre)
    coordinates = np.hstack([coordinates, np.ones((len(coordinates), 1), np.float32)])
    targets = np.eye(model.weights.shape[1], dtype=np.float32)[class_ids]
    log_prior = _log_prior(targets, weight)
    # Each model starts near its own solution: from that on all examples, before the scale.
    own = model.weights if basis is None else basis.T @ model.weights
    start = np.vstack([own, model.bias + centre @ model.weights]).astype(np.float32) / model.scale
    for number in np.unique(groups[groups >= 0]):
        out = groups == number
        part = coordinates[~out], targets[~out], _with_shares_of_all(targets, weight, ~out)
        solution = model.scale * _solve(*part, model.C, start, _ROUGH_TOLERANCE)
        if model.scale > 1.0:
            solution[-1] += (1.0 - model.scale) * log_prior
        weights = solution[:-1] if basis is None else basis @ solution[:-1]
        yield out, weights.astype(np.float32), (solution[-1] - centre @ weights).astype(np.float32)


def _span(features: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Returns an orthonormal basis (d, n) of the examples and their coordinates (n, n), if smaller."""
    n, d = features.shape
    if n > d // 2:
        return None, features
    basis, triangle = np.linalg.qr(features.T)
    return basis, np.ascontiguousarray(triangle.T)


@dataclass(frozen=True, eq=False)
class _Trial:
    """One value of C in cross-validation."""

    C: float
    scale: float
    probabilities: np.ndarray
    loss: float
    objective: float
    solutions: list[np.ndarray]

    @property
    def start(self) -> np.ndarray:
        """Returns a starting point near the solution on all examples."""
        return np.asarray(np.mean(self.solutions, axis=0))


def _cross_validate(
    coordinates: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray,
    folds: np.ndarray,
    Cs: Sequence[float],
) -> list[_Trial]:
    """Tries values of C from the usual one in both directions, in each as long as it helps."""
    log_prior = _log_prior(targets, weight)
    # (n,) the number of labels of each example's class, and the number of folds that hold some of them.
    labels = targets @ targets.sum(axis=0)
    spread = targets @ sum((targets[folds == number].any(axis=0) for number in np.unique(folds)), np.zeros(1))
    judged = spread > 1.0
    choosing = judged & (labels >= C_LABELS)
    usual = UNCHOSEN_C if judged.all() and not choosing.any() else USUAL_C
    held_out = [folds == number for number in np.unique(folds)]
    kept = [
        (coordinates[~rows], targets[~rows], _with_shares_of_all(targets, weight, ~rows)) for rows in held_out
    ]

    def attempt(C: float, starts: list[np.ndarray]) -> _Trial:
        scores = np.empty_like(targets)
        solutions = [
            _solve(*part, C, start, _ROUGH_TOLERANCE) for part, start in zip(kept, starts, strict=True)
        ]
        for rows, solution in zip(held_out, solutions, strict=True):
            scores[rows] = coordinates[rows] @ solution
        surprise = 0.5 * (np.log(C / usual) / PRIOR_WIDTH) ** 2
        scale, loss = 1.0, 0.0
        if judged.any():
            scale = _inverse_temperature(scores[judged], log_prior, targets[judged], weight[judged])
            loss = _cross_entropy(_scaled(scores[judged], log_prior, scale), targets[judged], weight[judged])
        scores = _scaled(scores, log_prior, scale)
        objective = float(surprise)
        if choosing.any():
            missed = _cross_entropy(scores[choosing], targets[choosing], weight[choosing])
            objective += missed * float(weight[choosing].sum())
        return _Trial(C, scale, softmax(scores, axis=1), loss, objective, solutions)

    nothing = [np.zeros((coordinates.shape[1], targets.shape[1]), np.float32)] * len(kept)
    ascending = sorted(map(float, Cs))
    middle = min(range(len(ascending)), key=lambda at: abs(np.log(ascending[at] / usual)))
    trials = [attempt(ascending[middle], nothing)]
    for onward in (ascending[middle + 1 :], ascending[:middle][::-1]):
        last = trials[0]
        for C in onward:
            # Each fold starts from its solution for the previous C, which is close.
            trial = attempt(C, last.solutions)
            trials.append(trial)
            if trial.objective > last.objective:
                break
            last = trial
    return trials


def _log_prior(targets: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns (k,) logarithms of the classes' weighted shares, with half an example added to each class."""
    counts = weight @ targets + 0.5
    return np.asarray(np.log(counts / counts.sum()))


def _with_shares_of_all(targets: np.ndarray, weight: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns weights for some rows that give each class the same share as it has among all rows."""
    of_all, of_rows = weight @ targets, weight[rows] @ targets[rows]
    factor = of_all / np.where(of_rows > 0.0, of_rows, 1.0) * np.float32(np.mean(rows))
    return np.asarray((weight[rows] * (targets[rows] @ factor)).astype(np.float32))


def _scaled(scores: np.ndarray, log_prior: np.ndarray, scale: float) -> np.ndarray:
    """Returns scores after temperature scaling, without more influence for the classes' shares."""
    if scale <= 1.0:
        return scale * scores
    return np.asarray(log_prior + scale * (scores - log_prior))


def _inverse_temperature(
    scores: np.ndarray, log_prior: np.ndarray, targets: np.ndarray, weight: np.ndarray
) -> float:
    """Returns the scale that makes held-out scores the best log-probabilities.

    The targets are softened as if one more example had been wrong, so that a run without an error does not
    give probabilities of 1 (Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2).
    """
    k = targets.shape[1]
    doubt = 1.0 / (len(targets) + 2.0)
    softened = targets * (1.0 - doubt) + (1.0 - targets) * doubt / max(k - 1, 1)
    found = minimize_scalar(
        lambda log_scale: _cross_entropy(_scaled(scores, log_prior, np.exp(log_scale)), softened, weight),
        bounds=_TEMPERATURES,
        method="bounded",
        options={"xatol": 1e-3},
    )
    return float(np.exp(found.x))


def _cross_entropy(scores: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> float:
    """Returns the weighted mean over examples, in nats."""
    return float(np.average(-(log_softmax(scores, axis=1) * targets).sum(axis=1), weights=weight))


def _solve(
    coordinates: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray,
    C: float,
    start: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Minimises the objective, divided by C and the total weight, from `start`; the last row is the bias."""
    total = float(weight.sum())
    decay = np.full((len(start), 1), 1.0 / (C * total), np.float32)
    decay[-1] = 0.0
    share = (weight / total)[:, None]

    def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_probabilities = log_softmax(coordinates @ parameters, axis=1)
        value = -float(np.sum(log_probabilities * targets * share, dtype=np.float64))
        value += 0.5 * float(np.sum(decay * parameters**2, dtype=np.float64))
        residual = (np.exp(log_probabilities) - targets) * share
        return value, coordinates.T @ residual + decay * parameters

    return minimize(value_and_gradient, start, tolerance=tolerance)
