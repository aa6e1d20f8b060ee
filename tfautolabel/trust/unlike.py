"""What is like nothing that was labelled: a gate on features.

The default score is the relative Mahalanobis distance (Ren et al., A simple fix to Mahalanobis distance for
improving near-OOD detection, arXiv 2106.09022), with the pool as the background: how much nearer the
examples of the pool's centre are than those of the nearest class, in units of the spread within classes (Lee
et al., arXiv 1807.03888, with a shrunk covariance: Ledoit and Wolf, 2004). The squares of the features cancel
out, so one matrix product and a minimum give it. The others are baselines to measure against: cosine
distance to the nearest labelled examples after the pool's mean is taken off (Sun et al., arXiv 2204.06507),
and what the probabilities alone say (Hendrycks and Gimpel, arXiv 1610.02136; Liu et al., arXiv 2010.03759).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf

METHODS = ("relative_mahalanobis", "neighbours")
NEIGHBOURS = 5
_FOLDS = 5
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class UnlikeGate:
    """Scores how unlike the labelled examples something is, and refuses what is too unlike.

    Attributes:
        method: one of `METHODS`.
        threshold: what scores more than this is refused.
        refused: the share of labelled-like examples that is refused, about; in (0, 1).
        centre: (d,) float32, taken off the normalised features: the pool's mean.
        weights: (d, c) float32: one column a class, or a labelled example for "neighbours".
        bias: (c,) float32.
    """

    method: str
    threshold: float
    refused: float
    centre: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def score(self, features: np.ndarray) -> np.ndarray:
        """How unlike all that was labelled each example is.

        Args:
            features: (n, d) float32, of the backbone the gate was fitted with.

        Returns:
            (n,) float32, higher is more unlike.

        Raises:
            ValueError: If features do not have d columns.
        """
        features = np.asarray(features, np.float32)
        if features.ndim != 2 or features.shape[1] != len(self.centre):
            raise ValueError(
                f"features must have shape (n, {len(self.centre)}). Received: shape {features.shape}"
            )
        centred = _normalised(features) - self.centre
        if self.method == "neighbours":
            near = _normalised(centred) @ self.weights
            at = near.shape[1] - min(NEIGHBOURS, near.shape[1])
            return (-np.partition(near, at, axis=1)[:, at]).astype(np.float32)
        return (centred @ self.weights + self.bias).min(axis=1).astype(np.float32)

    def refuses(self, features: np.ndarray) -> np.ndarray:
        """(n,) bool: which examples are too unlike everything labelled."""
        return self.score(features) > np.float32(self.threshold)

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers of the gate, for a file or a graph."""
        return {"centre": self.centre, "weights": self.weights, "bias": self.bias}

    def to_dict(self) -> dict[str, Any]:
        """The settings without the arrays, ready for JSON."""
        return {"method": self.method, "threshold": self.threshold, "refused": self.refused}

    @classmethod
    def from_dict(cls, entries: dict[str, Any], arrays: dict[str, np.ndarray]) -> UnlikeGate:
        """What `to_dict` and `arrays` gave, back again."""
        return cls(
            entries["method"],
            entries["threshold"],
            entries["refused"],
            arrays["centre"],
            arrays["weights"],
            arrays["bias"],
        )


def fit_unlike_gate(
    features: np.ndarray,
    class_ids: np.ndarray,
    pool: np.ndarray | None = None,
    *,
    method: str = "relative_mahalanobis",
    refused: float = 0.02,
    seed: int = 0,
) -> UnlikeGate:
    """Learns what the labelled examples look like.

    The threshold comes from labelled examples that were held out in turn: with so few labels an example
    would look far more familiar to a gate that has seen it.

    Args:
        features: (n, d) float32 of the labelled examples, n at least 2.
        class_ids: (n,) int64, their classes.
        pool: (p, d) float32 of unlabelled examples, with whatever may be unlike in it; the labelled ones by
            default.
        method: one of `METHODS`.
        refused: the share of labelled-like examples that may be refused, in (0, 1).
        seed: decides the folds.

    Returns:
        The gate.

    Raises:
        ValueError: If there are too few examples, shapes do not agree, or an argument is not valid.
    """
    features, class_ids = np.asarray(features, np.float32), np.asarray(class_ids)
    pool = features if pool is None or len(pool) == 0 else np.asarray(pool, np.float32)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: method={method!r}")
    if not 0.0 < refused < 1.0:
        raise ValueError(f"refused must lie between 0 and 1, both excluded. Received: refused={refused}")
    if features.ndim != 2 or len(features) != len(class_ids) or len(features) < 2:
        raise ValueError(
            "features must have shape (n, d) and class_ids (n,), n at least 2. Received: shapes "
            f"{features.shape} and {class_ids.shape}"
        )
    centre = _normalised(pool).mean(axis=0)
    folds = _folds(class_ids, seed)
    held_out_scores = np.empty(len(features), np.float32)
    for fold in np.unique(folds):
        held_out = folds == fold
        fold_gate = _fit(features[~held_out], class_ids[~held_out], centre, method, refused)
        held_out_scores[held_out] = fold_gate.score(features[held_out])
    gate = _fit(features, class_ids, centre, method, refused)
    # The only example of its class is rightly unlike the others, and says nothing about what is like them.
    _, places, counts = np.unique(class_ids, return_inverse=True, return_counts=True)
    with_others = counts[places] > 1
    kept = np.sort(held_out_scores[with_others] if with_others.any() else held_out_scores)
    rank = min(int(np.ceil((len(kept) + 1) * (1.0 - refused))), len(kept))
    threshold = float(kept[rank - 1])
    return UnlikeGate(method, threshold, refused, gate.centre, gate.weights, gate.bias)


def probability_score(probabilities: np.ndarray) -> np.ndarray:
    """The baseline that needs no features: one minus the highest probability.

    Args:
        probabilities: (n, k).

    Returns:
        (n,) in [0, 1], higher is more unlike.
    """
    return 1.0 - np.asarray(probabilities).max(axis=1)


def energy_score(logits: np.ndarray) -> np.ndarray:
    """The energy of a head's scores (Liu et al., arXiv 2010.03759).

    Args:
        logits: (n, k) before the softmax.

    Returns:
        (n,) higher is more unlike.
    """
    return -logsumexp(np.asarray(logits, np.float64), axis=1)


def _fit(
    features: np.ndarray, class_ids: np.ndarray, centre: np.ndarray, method: str, refused: float
) -> UnlikeGate:
    """A gate that refuses nothing yet."""
    centred = _normalised(features) - centre
    if method == "neighbours":
        columns = _normalised(centred).T
        return UnlikeGate(method, np.inf, refused, centre, columns, np.zeros(columns.shape[1], np.float32))
    classes = np.unique(class_ids)
    means = np.stack([centred[class_ids == number].mean(axis=0) for number in classes])
    spread = centred - means[np.searchsorted(classes, class_ids)]
    covariance, _ = ledoit_wolf(spread.astype(np.float64), assume_centered=True)
    covariance[np.diag_indices_from(covariance)] += _TINY
    towards = cho_solve(cho_factor(covariance), means.T.astype(np.float64))
    # (x - m)' P (x - m) - x' P x, with x counted from the pool's mean: linear in x.
    weights, bias = -2.0 * towards, np.einsum("dc,cd->c", towards, means)
    return UnlikeGate(method, np.inf, refused, centre, weights.astype(np.float32), bias.astype(np.float32))


def _folds(class_ids: np.ndarray, seed: int) -> np.ndarray:
    """(n,) int64: the examples of each class dealt in turn, so that a fold holds out no class whole."""
    order = np.random.default_rng(seed).permutation(len(class_ids))
    by_class = order[np.argsort(class_ids[order], kind="stable")]
    folds = np.empty(len(class_ids), np.int64)
    folds[by_class] = np.arange(len(class_ids)) % min(_FOLDS, len(class_ids))
    return folds


def _normalised(features: np.ndarray) -> np.ndarray:
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _TINY)
