"""Out-of-distribution detection: a gate on features against examples unlike all labelled ones.

The default score is the relative Mahalanobis distance (Ren et al., A simple fix to Mahalanobis distance for
improving near-OOD detection, arXiv 2106.09022), with the pool as the background. It says how much nearer an
example is to the pool's centre than to the nearest class, in units of the spread within classes (Lee et al.,
arXiv 1807.03888, with a shrunk covariance: Ledoit and Wolf, 2004). The squares of the features cancel out, so
one matrix product and a minimum give the score. The other scores are baselines: the cosine distance to the
nearest labelled examples after subtraction of the pool's mean (Sun et al., arXiv 2204.06507), and scores from
the probabilities alone (Hendrycks and Gimpel, arXiv 1610.02136; Liu et al., arXiv 2010.03759).

An example of the pool draws the pool's centre a little towards itself, which makes it more unlike. In a small
pool and many dimensions, this is much. Therefore a held-out labelled example is scored as if it were in the
pool too; otherwise the pool would look unlike although it is not.

A few labels say little about how much examples of their own kind can differ. The pool says more: if it
contains a kind without labels, it has more high scores than held-out labels explain. Then the threshold is
lowered; else no more of the pool is refused than was asked for (`tfautolabel.trust.excess`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.covariance import ledoit_wolf

from tfautolabel.data.folds import stratified_folds
from tfautolabel.trust.excess import Scored, threshold_for

METHODS = ("relative_mahalanobis", "neighbours")
NEIGHBOURS = 5
FEWEST = 10
"""A gate is meaningful from so many labelled examples on; only classes with more than one count."""

_FOLDS = 10
_MANY = 500  # from so many labels on, half as many folds are enough
_TINY = 1e-9


@dataclass(frozen=True, eq=False)
class OodGate:
    """Scores how unlike the labelled examples an example is, and refuses it if it is too unlike.

    Attributes:
        method: one of `METHODS`.
        threshold: examples with a higher score are refused.
        refused: the approximate share of examples like the labelled ones that is refused, in (0, 1).
        centre: (d,) float32, the pool's mean, which is subtracted from the normalised features.
        weights: (d, c) float32: one column for each class, or for each labelled example with "neighbours".
        bias: (c,) float32.
        few: whether there were too few labels to show that more of the pool than `refused` is unlike them, so
            that no more of it is refused.
    """

    method: str
    threshold: float
    refused: float
    centre: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    few: bool = False

    def score(self, features: np.ndarray) -> np.ndarray:
        """Returns how unlike all labelled examples each example is.

        Args:
            features: (n, d) float32, from the backbone that the gate was fitted with.

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
        scores, _ = self._scores_and_nearest(features)
        return scores

    def refuses(self, features: np.ndarray) -> np.ndarray:
        """Returns (n,) bool: which examples are too unlike all labelled examples."""
        return self.score(features) > np.float32(self.threshold)

    def _scores_and_nearest(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns (n,) float32 scores, and (n,) int64, the column of `weights` nearest to each example."""
        centred = _normalised(features) - self.centre
        if self.method == "neighbours":
            near = _normalised(centred) @ self.weights
            at = near.shape[1] - min(NEIGHBOURS, near.shape[1])
            return (-np.partition(near, at, axis=1)[:, at]).astype(np.float32), near.argmax(axis=1)
        far = centred @ self.weights + self.bias
        return far.min(axis=1).astype(np.float32), far.argmin(axis=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays of the gate, for a file or a graph."""
        return {"centre": self.centre, "weights": self.weights, "bias": self.bias}

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings without the arrays, ready for JSON."""
        return {
            "method": self.method,
            "threshold": self.threshold,
            "refused": self.refused,
            "few": self.few,
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any], arrays: dict[str, np.ndarray]) -> OodGate:
        """Restores what `to_dict` and `arrays` returned."""
        return cls(
            entries["method"],
            entries["threshold"],
            entries["refused"],
            arrays["centre"],
            arrays["weights"],
            arrays["bias"],
            entries.get("few", False),
        )


def fit_ood_gate(
    features: np.ndarray,
    class_ids: np.ndarray,
    pool: np.ndarray | None = None,
    *,
    method: str = "relative_mahalanobis",
    refused: float = 0.02,
    seed: int = 0,
) -> OodGate:
    """Learns what the labelled examples look like.

    The threshold comes from the scores of labelled examples that were held out in turn: with few labels, an
    example looks far more familiar to a gate that has seen it. If the pool is shown to contain more unlike
    examples than they explain, at the level `tfautolabel.trust.excess.LEVEL`, the threshold is lowered.
    Otherwise it is at least the score that the share `refused` of the pool exceeds. Without a pool and with
    fewer than 1 / refused such examples, the threshold is the largest of their scores.

    Args:
        features: (n, d) float32 of the labelled examples, n at least 2.
        class_ids: (n,) int64, their classes.
        pool: (p, d) float32 of unlabelled examples, which may include unlike ones. Without a pool the
            labelled examples are the background, and they alone decide on the threshold.
        method: one of `METHODS`.
        refused: the share of examples like the labelled ones that may be refused, in (0, 1).
        seed: determines the folds.

    Returns:
        The gate.

    Raises:
        ValueError: If there are too few examples, shapes do not agree, or an argument is not valid.
    """
    features, class_ids = np.asarray(features, np.float32), np.asarray(class_ids)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: method={method!r}")
    if not 0.0 < refused < 1.0:
        raise ValueError(f"refused must lie between 0 and 1, both excluded. Received: refused={refused}")
    if features.ndim != 2 or len(features) != len(class_ids) or len(features) < 2:
        raise ValueError(
            "features must have shape (n, d) and class_ids (n,), n at least 2. Received: shapes "
            f"{features.shape} and {class_ids.shape}"
        )
    pool = None if pool is None or len(pool) == 0 else np.asarray(pool, np.float32)
    centre = _normalised(features if pool is None else pool).mean(axis=0)
    classes, places, counts = np.unique(class_ids, return_inverse=True, return_counts=True)
    size = None if pool is None else len(pool)
    scores, nearest = _held_out(features, class_ids, centre, method, refused, seed, size)
    gate = _fit(features, class_ids, centre, method, refused)
    # The only example of a class is rightly unlike the others, so it says nothing about what is like them.
    kept = counts[places] > 1
    if not kept.any():
        kept = np.ones(len(features), bool)
    held_out = Scored(scores[kept], np.searchsorted(classes, nearest[kept]))
    pool_scored = None
    if pool is not None:
        pool_scores, columns = gate._scores_and_nearest(pool)
        of_columns = _classes_of_columns(class_ids, method)
        pool_scored = Scored(pool_scores, np.searchsorted(classes, of_columns[columns]))
    threshold = threshold_for(held_out, places[kept], pool_scored, refused)
    return replace(gate, threshold=threshold.value, few=threshold.few)


def held_out_scores(features: np.ndarray, class_ids: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Returns how unlike the other labelled examples each labelled example is.

    Each score comes from a gate that has not seen the example. The scores put the examples in an order; no
    bound on them tells what does not belong.

    Args:
        features: (n, d) float32, n at least 2.
        class_ids: (n,) int64, the given classes.
        seed: determines the folds.

    Returns:
        (n,) float32, higher is more unlike.
    """
    features = np.asarray(features, np.float32)
    centre = _normalised(features).mean(axis=0)
    return _held_out(features, np.asarray(class_ids), centre, METHODS[0], 0.02, seed)[0]


def enough_to_judge(class_ids: np.ndarray) -> bool:
    """Returns whether a gate fitted on such labels would be meaningful; takes (n,) int64 >= 0."""
    counts = np.bincount(class_ids)
    return bool(counts[counts > 1].sum() >= FEWEST)


def _held_out(
    features: np.ndarray,
    class_ids: np.ndarray,
    centre: np.ndarray,
    method: str,
    refused: float,
    seed: int,
    pool_size: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (n,) float32 scores and (n,) int64 nearest classes, by gates that have not seen the example.

    With a pool of some size, the example is scored as one more example of this pool.
    """
    scores, nearest = np.empty(len(features), np.float32), np.empty(len(features), np.int64)
    n_folds = _FOLDS if len(features) < _MANY else _FOLDS // 2
    folds = stratified_folds(class_ids, n_folds, seed, content=features)
    for fold in np.unique(folds):
        out = folds == fold
        gate = _fit(features[~out], class_ids[~out], centre, method, refused)
        scores[out], columns = gate._scores_and_nearest(features[out])
        nearest[out] = _classes_of_columns(class_ids[~out], method)[columns]
        # It would move the centre, but not the direction from there, which is all that the neighbours need.
        if pool_size is not None and method == METHODS[0]:
            _, spread = _means_and_spread(_normalised(features[~out]) - centre, class_ids[~out])
            own = (_normalised(features[out]) - centre).astype(np.float64)
            squares = np.einsum("nd,dn->n", own, _whitened(spread, own.T))
            # With u = x - c and c moved by u / (p + 1), the score grows by this share of u' P u.
            scores[out] += ((2 * pool_size + 1) / (pool_size + 1) ** 2 * squares).astype(np.float32)
    return scores, nearest


def _classes_of_columns(class_ids: np.ndarray, method: str) -> np.ndarray:
    """Returns the class of each column of `weights` in a gate that was fitted on such classes."""
    return class_ids if method == "neighbours" else np.unique(class_ids)


def _fit(
    features: np.ndarray, class_ids: np.ndarray, centre: np.ndarray, method: str, refused: float
) -> OodGate:
    """Returns a gate that refuses nothing yet."""
    centred = _normalised(features) - centre
    if method == "neighbours":
        columns = _normalised(centred).T
        return OodGate(method, np.inf, refused, centre, columns, np.zeros(columns.shape[1], np.float32))
    means, spread = _means_and_spread(centred, class_ids)
    towards = _whitened(spread, means.T.astype(np.float64))
    # (x - m)' P (x - m) - x' P x, where x is relative to the pool's mean: linear in x.
    weights, bias = -2.0 * towards, np.einsum("dc,cd->c", towards, means)
    return OodGate(method, np.inf, refused, centre, weights.astype(np.float32), bias.astype(np.float32))


def _means_and_spread(centred: np.ndarray, class_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (c, d) means of the classes, and (n, d) float64 deviations from them."""
    classes = np.unique(class_ids)
    means = np.stack([centred[class_ids == number].mean(axis=0) for number in classes])
    return means, (centred - means[np.searchsorted(classes, class_ids)]).astype(np.float64)


def _whitened(spread: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns the inverse of the shrunk covariance of (n, d) deviations, times (d, c) vectors.

    With fewer examples than features, the n x n products of the examples give the same numbers: the
    covariance of Ledoit and Wolf is a multiple of the identity plus a matrix of rank n (Woodbury's identity).
    """
    n, d = spread.shape
    if n >= d:
        covariance, _ = ledoit_wolf(spread, assume_centered=True)
        covariance[np.diag_indices_from(covariance)] += _TINY
        return np.asarray(cho_solve(cho_factor(covariance), vectors))
    products = spread @ spread.T
    variance = float(np.trace(products)) / n
    squared = float((products**2).sum()) / n**2
    noise = (float((np.diag(products) ** 2).sum()) / n - squared) / n
    distance = squared - variance**2 / d
    shrinkage = min(noise, distance) / distance if distance > 0.0 and noise > 0.0 else 0.0
    flat, share = shrinkage * variance / d + _TINY, (1.0 - shrinkage) / n
    inner = spread.T @ np.linalg.solve(np.eye(n) + share / flat * products, spread @ vectors)
    return np.asarray((vectors - share / flat * inner) / flat)


def _normalised(features: np.ndarray) -> np.ndarray:
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _TINY))
