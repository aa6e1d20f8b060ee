"""Calibration of probabilities: temperature and vector scaling on top of any head.

Both work on the logarithms of the probabilities, which every head has. Temperature scaling multiplies them by
one number (Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599). Vector scaling gives each
class its own factor and offset; a penalty keeps them near the identity (Kull et al., Beyond temperature
scaling, arXiv 1910.12656, regularise their off-diagonal terms and offsets in this way).

A calibrator learns from out-of-fold probabilities of few labels, so it must not do harm. A prior keeps it
near the identity. The targets are softened, so that a run without an error does not give probabilities of 1
(Platt, Probabilistic Outputs for Support Vector Machines, 1999, section 2.2). By default, a more complex kind
is used only if it is better on held-out labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

KINDS = ("identity", "temperature", "vector")
"""From the simplest to the one with the most parameters."""

_FLOOR = 1e-12
_TEMPERATURE_WIDTH = 0.5
_CLASS_WIDTH = 0.25
"""Standard deviations of the priors: for the logarithm of the common factor, and for each class's addition to
it and each class's offset. A tenth of a nat is a usual miscalibration, so the priors matter with tens of
labels, not with hundreds."""
_FOLDS = 5
_MIN_LABELS = 20
"""With fewer labels, a comparison of kinds is meaningless."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """A correction of probabilities: softmax(scale x log(probabilities) + bias).

    Attributes:
        kind: one of `KINDS`.
        scale: (k,) float64 > 0, the factor of each class; the inverse of a temperature.
        bias: (k,) float64.
    """

    kind: str
    scale: np.ndarray
    bias: np.ndarray

    @classmethod
    def identity(cls, n_classes: int) -> Calibration:
        """Returns the correction that changes nothing."""
        return cls("identity", np.ones(n_classes), np.zeros(n_classes))

    def apply(self, probabilities: np.ndarray) -> np.ndarray:
        """Corrects probabilities.

        Args:
            probabilities: (n, k), rows sum to 1; a row of zeros stands for an example that could not be read.

        Returns:
            (n, k) float32, rows sum to 1; rows of zeros stay zeros.

        Raises:
            ValueError: If there are not k columns.

        Examples:
            >>> sharper = Calibration("temperature", np.array([2.0, 2.0]), np.zeros(2))
            >>> sharper.apply(np.array([[0.8, 0.2], [0.0, 0.0]])).round(3).tolist()
            [[0.9409999847412109, 0.05900000035762787], [0.0, 0.0]]
        """
        probabilities = np.asarray(probabilities)
        if probabilities.ndim != 2 or probabilities.shape[1] != len(self.scale):
            raise ValueError(
                f"probabilities must have shape (n, {len(self.scale)}). Received: shape {probabilities.shape}"
            )
        if self.kind == "identity":
            return probabilities.astype(np.float32)
        corrected = softmax(self.scale * _logarithms(probabilities) + self.bias, axis=1)
        corrected[probabilities.sum(axis=1) == 0.0] = 0.0
        return np.asarray(corrected.astype(np.float32))

    def to_dict(self) -> dict[str, Any]:
        """Returns the correction as plain values, ready for JSON."""
        return {"kind": self.kind, "scale": self.scale.tolist(), "bias": self.bias.tolist()}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Calibration:
        """Restores what `to_dict` returned."""
        return cls(entries["kind"], np.array(entries["scale"], float), np.array(entries["bias"], float))


def fit_calibration(
    probabilities: np.ndarray,
    class_ids: np.ndarray,
    kind: str = "auto",
    *,
    sample_weight: np.ndarray | None = None,
    seed: int = 0,
) -> Calibration:
    """Learns a correction from the probabilities of examples that the head has not seen.

    "auto" fits every kind within cross-validation. A kind replaces a simpler one only if it lowers the
    held-out log loss by more than the standard error of the difference; with few labels, none does.

    Args:
        probabilities: (n, k), rows sum to 1, such as a head's out-of-fold probabilities; rows of zeros are
            ignored.
        class_ids: (n,) int64 in [0, k), the truth.
        kind: one of `KINDS`, or "auto".
        sample_weight: (n,) > 0, 1 for each example by default.
        seed: determines the folds of "auto".

    Returns:
        The correction.

    Raises:
        ValueError: If the kind is unknown or the shapes do not agree.
    """
    probabilities, class_ids = np.asarray(probabilities, np.float64), np.asarray(class_ids)
    if kind not in (*KINDS, "auto"):
        raise ValueError(f"kind must be one of {(*KINDS, 'auto')}. Received: kind={kind!r}")
    if probabilities.ndim != 2 or len(probabilities) != len(class_ids):
        raise ValueError(
            "probabilities must have shape (n, k) and class_ids (n,). Received: shapes "
            f"{probabilities.shape} and {class_ids.shape}"
        )
    weight = np.ones(len(class_ids)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    read = probabilities.sum(axis=1) > 0.0
    logits, targets, weight = _logarithms(probabilities[read]), class_ids[read], weight[read]
    if kind == "auto":
        kind = _choose(logits, targets, weight, seed)
    return _FITS[kind](logits, targets, weight)


def _choose(logits: np.ndarray, class_ids: np.ndarray, weight: np.ndarray, seed: int) -> str:
    """Returns the kind whose held-out log loss is lower by more than chance."""
    if len(class_ids) < _MIN_LABELS:
        return "identity"
    folds = np.random.default_rng(seed).permutation(len(class_ids)) % _FOLDS
    losses = {}
    for kind in KINDS:
        own = np.empty(len(class_ids))
        for fold in range(_FOLDS):
            held_out = folds == fold
            fitted = _FITS[kind](logits[~held_out], class_ids[~held_out], weight[~held_out])
            scores = log_softmax(fitted.scale * logits[held_out] + fitted.bias, axis=1)
            own[held_out] = -scores[np.arange(len(scores)), class_ids[held_out]]
        losses[kind] = own * weight / weight.mean()
    best = KINDS[0]
    for kind in KINDS[1:]:
        gains = losses[best] - losses[kind]
        if gains.mean() > gains.std(ddof=1) / np.sqrt(len(gains)):
            best = kind
    return best


def _fit_identity(logits: np.ndarray, class_ids: np.ndarray, weight: np.ndarray) -> Calibration:
    del class_ids, weight
    return Calibration.identity(logits.shape[1])


def _fit_temperature(logits: np.ndarray, class_ids: np.ndarray, weight: np.ndarray) -> Calibration:
    k = logits.shape[1]
    targets = _softened(class_ids, k, weight)

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(parameters[0])
        value, residual = _cross_entropy(scale * logits, targets, weight)
        slope = scale * float((residual * logits).sum()) + parameters[0] / _TEMPERATURE_WIDTH**2
        return value + 0.5 * (parameters[0] / _TEMPERATURE_WIDTH) ** 2, np.array([slope])

    log_scale = _minimum(objective, 1)[0]
    return Calibration("temperature", np.full(k, np.exp(log_scale)), np.zeros(k))


def _fit_vector(logits: np.ndarray, class_ids: np.ndarray, weight: np.ndarray) -> Calibration:
    k = logits.shape[1]
    targets = _softened(class_ids, k, weight)
    widths = np.concatenate([[_TEMPERATURE_WIDTH], np.full(2 * k, _CLASS_WIDTH)])

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(parameters[0] + parameters[1 : k + 1])
        value, residual = _cross_entropy(scale * logits + parameters[k + 1 :], targets, weight)
        of_scale = scale * (residual * logits).sum(axis=0)
        slopes = np.concatenate([[of_scale.sum()], of_scale, residual.sum(axis=0)])
        value += 0.5 * float(((parameters / widths) ** 2).sum())
        return value, slopes + parameters / widths**2

    found = _minimum(objective, 2 * k + 1)
    return Calibration("vector", np.exp(found[0] + found[1 : k + 1]), found[k + 1 :])


_FITS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Calibration]] = {
    "identity": _fit_identity,
    "temperature": _fit_temperature,
    "vector": _fit_vector,
}


def _minimum(objective: Callable[[np.ndarray], tuple[float, np.ndarray]], size: int) -> np.ndarray:
    return np.asarray(
        minimize(objective, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    )


def _softened(class_ids: np.ndarray, k: int, weight: np.ndarray) -> np.ndarray:
    """Returns (n, k) targets, softened as if one more example had been wrong."""
    doubt = 1.0 / (float(weight.sum()) + 2.0)
    targets = np.full((len(class_ids), k), doubt / max(k - 1, 1))
    targets[np.arange(len(class_ids)), class_ids] = 1.0 - doubt
    return targets


def _cross_entropy(scores: np.ndarray, targets: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """Returns the weighted sum over examples in nats, and its derivative with respect to the scores."""
    logs = log_softmax(scores, axis=1)
    value = -float(((logs * targets).sum(axis=1) * weight).sum())
    return value, (np.exp(logs) - targets) * weight[:, None]


def _logarithms(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), _FLOOR))
