"""Measures how good probabilities and confidences are, each measure with an interval.

The accuracy is a share, so it has an exact interval (`accuracy_interval`). The other measures have bootstrap
intervals (Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13): examples are drawn again
with replacement, and the interval is the middle 95 % of the resulting values. If all values are equal, for
example without a single error, they say nothing and there is no interval. All measures use the same
resamples, stored as counts, so a measure made of sums costs one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.measures.intervals import accuracy_interval

BINS = 15
RESAMPLES = 1000
_FLOOR = 1e-12
_CHUNK = 200_000
_TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Measure:
    """A value and its 95 % interval; NaN if the data do not define it.

    Attributes:
        value: the measure on the examples themselves.
        low: the interval's lower end.
        high: its upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class ProbabilityEvaluation:
    """Probabilities measured against the truth.

    Attributes:
        count: n.
        measures: name to `Measure`. Log loss in nats; Brier score in [0, 2], summed over classes; expected
            calibration error of the highest probability over bins of equal mass; area under the
            risk-coverage curve; area under the ROC curve and average precision, one class against the rest
            and averaged over the classes that have both; accuracy; balanced accuracy and macro F1 over the
            classes that occur; weighted F1; Cohen's kappa.
        reliability: (b, 3) float64: the mean confidence, the accuracy and the count of each bin.
        risk_coverage: (n, 2) float64: coverage, and the share of errors among that share of the labels,
            surest first; labels with equal confidence are accepted together.
    """

    count: int
    measures: dict[str, Measure]
    reliability: np.ndarray
    risk_coverage: np.ndarray

    def to_dict(self, points: int = 100) -> dict[str, Any]:
        """Returns the measures as plain values, ready for JSON, with None for NaN.

        Args:
            points: the most points of the risk-coverage curve to keep.
        """
        kept = np.unique(np.linspace(0, self.count - 1, min(points, self.count)).round().astype(int))

        def plain(value: float) -> float | None:
            return float(value) if np.isfinite(value) else None

        return {
            "count": self.count,
            "measures": {
                name: {"value": plain(one.value), "interval_95": [plain(one.low), plain(one.high)]}
                for name, one in self.measures.items()
            },
            "reliability": [
                {"confidence": float(sure), "accuracy": float(right), "count": int(count)}
                for sure, right, count in self.reliability
            ],
            "risk_coverage": self.risk_coverage[kept].tolist(),
        }


def evaluate_probabilities(
    class_ids: np.ndarray,
    probabilities: np.ndarray,
    *,
    resamples: int = RESAMPLES,
    bins: int = BINS,
    seed: int = 0,
) -> ProbabilityEvaluation:
    """Measures probabilities against the truth.

    Args:
        class_ids: (n,) int64 in [0, k), n at least 1: the truth.
        probabilities: (n, k), rows sum to 1.
        resamples: how many bootstrap resamples; 0 gives intervals of NaN.
        bins: how many bins the calibration error has, each with nearly the same number of examples.
        seed: determines the resamples.

    Returns:
        The measures.

    Raises:
        ValueError: If there is nothing to evaluate or the shapes do not agree.

    Examples:
        >>> probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> found = evaluate_probabilities(np.array([0, 1, 1]), probabilities)
        >>> round(found.measures["brier"].value, 3), round(found.measures["accuracy"].value, 3)
        (0.273, 0.667)
    """
    truth, probabilities = np.asarray(class_ids), np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or len(probabilities) != len(truth) or len(truth) == 0:
        raise ValueError(
            "there must be at least one example, class_ids of shape (n,) and probabilities of shape (n, k). "
            f"Received: shapes {truth.shape} and {probabilities.shape}"
        )
    n = len(truth)
    rng = np.random.default_rng(seed)
    by_name: dict[str, list[np.ndarray]] = {}
    # First the examples themselves, then the resamples in parts that fit into memory.
    parts: list[np.ndarray] = [np.ones((1, n))]
    size = max(_CHUNK // n, 1)
    for start in range(0, resamples, size):
        drawn = rng.integers(0, n, (min(size, resamples - start), n))
        flat = (drawn + n * np.arange(len(drawn))[:, None]).ravel()
        parts.append(np.bincount(flat, minlength=drawn.size).reshape(drawn.shape).astype(np.float64))
    for weights in parts:
        for name, values in _measures(truth, probabilities, weights, bins).items():
            by_name.setdefault(name, []).append(values)
    measures = {name: _summary(np.concatenate(values)) for name, values in by_name.items()}
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    if resamples:
        exact = accuracy_interval(int(right.sum()), n)
        measures["accuracy"] = Measure(measures["accuracy"].value, *exact)
    return ProbabilityEvaluation(
        n, measures, reliability_table(confidence, right, bins), risk_coverage_curve(confidence, right)
    )


def reliability_table(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Returns the mean confidence and the accuracy of each bin of confidence.

    Args:
        confidence: (n,) in [0, 1].
        right: (n,) bool.
        bins: how many bins of nearly equal mass, from the least sure to the surest; at most n.

    Returns:
        (b, 3) float64: mean confidence, accuracy, count.
    """
    edges, order = _bin_edges(len(confidence), bins), np.argsort(confidence, kind="stable")
    counts = np.diff(edges)
    sure, kept = (np.add.reduceat(column[order].astype(float), edges[:-1]) for column in (confidence, right))
    return np.stack([sure / counts, kept / counts, counts.astype(float)], axis=1)


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Returns the expected calibration error over bins of equal mass (Nguyen and O'Connor, arXiv 1508.05154).

    Args:
        confidence: (n,) in [0, 1].
        right: (n,) bool.
        bins: how many bins of nearly equal mass.

    Returns:
        The mean distance between confidence and accuracy, in [0, 1]; each bin is weighted by its count.
    """
    table = reliability_table(confidence, right, bins)
    return float((np.abs(table[:, 0] - table[:, 1]) * table[:, 2]).sum() / table[:, 2].sum())


def risk_coverage_curve(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The share of errors among the surest labels, for every coverage (El-Yaniv and Wiener, JMLR 11, 2010).

    Args:
        confidence: (n,), higher is surer.
        right: (n,) bool.

    Returns:
        (n, 2) float64: coverage in (0, 1] and risk. Errors are spread evenly among labels with equal
        confidence.
    """
    order = np.argsort(-confidence, kind="stable")
    errors = _spread((~right[order].astype(bool)).astype(float), confidence[order])
    accepted = np.arange(1, len(order) + 1)
    return np.stack([accepted / len(order), np.cumsum(errors) / accepted], axis=1)


def _spread(errors: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Replaces each example's error by the mean error of the examples with the same confidence."""
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.append(starts, len(ordered)))
    return np.repeat(np.add.reduceat(errors, starts) / counts, counts)


def _summary(values: np.ndarray) -> Measure:
    drawn = values[1:][np.isfinite(values[1:])]
    # If all resamples give the same value, as without an error, they do not say how sure the value is.
    spread = len(drawn) > 0 and np.ptp(drawn) > 1e-12
    low, high = np.percentile(drawn, _TAILS) if spread else (np.nan, np.nan)
    return Measure(float(values[0]), float(low), float(high))


def _bin_edges(n: int, bins: int) -> np.ndarray:
    bins = min(bins, n)
    return np.round(np.linspace(0, n, bins + 1)).astype(np.int64)


def _measures(
    truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, bins: int
) -> dict[str, np.ndarray]:
    """Returns name to (b,), one value for each row of the weights (b, n); a row holds a resample's counts."""
    n, k = probabilities.shape
    predicted = probabilities.argmax(axis=1)
    confidence, right = probabilities.max(axis=1), predicted == truth
    own = probabilities[np.arange(n), truth]
    losses = np.stack(
        [
            -np.log(np.maximum(own, _FLOOR)),
            (probabilities**2).sum(axis=1) - 2.0 * own + 1.0,
            right.astype(float),
        ],
        axis=1,
    )
    means = weights @ losses / n
    found = {"log_loss": means[:, 0], "brier": means[:, 1], "accuracy": means[:, 2]}
    found["calibration_error"] = _resampled_calibration_error(confidence, right, weights, bins)
    found["risk_coverage_area"] = _resampled_area(confidence, right, weights)
    found |= _ranking_measures(truth, probabilities, weights)
    cells = np.zeros((n, k * k))
    cells[np.arange(n), truth * k + predicted] = 1.0
    found |= _confusion_measures((weights @ cells).reshape(-1, k, k))
    return found


def _resampled_calibration_error(
    confidence: np.ndarray, right: np.ndarray, weights: np.ndarray, bins: int
) -> np.ndarray:
    """Returns each resample's calibration error; the bins keep the edges from the examples themselves."""
    order = np.argsort(confidence, kind="stable")
    gaps = weights[:, order] * (confidence - right)[order]
    edges = _bin_edges(len(order), bins)
    return np.asarray(np.abs(np.add.reduceat(gaps, edges[:-1], axis=1)).sum(axis=1) / len(order))


def _resampled_area(confidence: np.ndarray, right: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the mean risk over all coverages."""
    order = np.argsort(-confidence, kind="stable")
    drawn = weights[:, order]
    errors = _spread((~right[order]).astype(float), confidence[order])
    accepted = np.cumsum(drawn, axis=1)
    risks = np.cumsum(drawn * errors, axis=1) / np.maximum(accepted, 1.0)
    return np.asarray((risks * drawn).sum(axis=1) / len(order))


def _ranking_measures(
    truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns macro averages over the classes; a resample without a class leaves that class out."""
    of_roc, of_precision = [], []
    for number in range(probabilities.shape[1]):
        is_class = (truth == number).astype(float)
        roc, precision = _class_ranking(is_class, probabilities[:, number], weights)
        of_roc.append(roc)
        of_precision.append(precision)
    return {"roc_auc": _mean_of_finite(of_roc), "average_precision": _mean_of_finite(of_precision)}


def _class_ranking(
    is_class: np.ndarray, scores: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    drawn = weights[:, order]
    positive = np.add.reduceat(drawn * is_class[order], starts, axis=1)
    negative = np.add.reduceat(drawn, starts, axis=1) - positive
    above, wrong_above = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    positives, negatives = above[:, -1], wrong_above[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        # Counts the pairs in the right order; equal pairs count half.
        roc = 1.0 - (positive * (wrong_above - negative / 2.0)).sum(axis=1) / (positives * negatives)
        shares = above / np.maximum(above + wrong_above, 1.0)
        precision = (positive * shares).sum(axis=1) / positives
    one_sided = (positives == 0) | (negatives == 0)
    return np.where(one_sided, np.nan, roc), np.where(one_sided, np.nan, precision)


def _confusion_measures(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the measures of (b, k, k) confusion counts, whose rows are the true classes."""
    n = confusion.sum(axis=(1, 2))
    hits = np.einsum("bii->bi", confusion)
    support, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = np.where(support > 0, hits / support, np.nan)
        f1 = np.where(support + predicted > 0, 2.0 * hits / (support + predicted), np.nan)
        agreed, by_chance = hits.sum(axis=1) / n, (support * predicted).sum(axis=1) / n**2
        kappa = (agreed - by_chance) / (1.0 - by_chance)
    return {
        "balanced_accuracy": _mean_of_finite(list(recall.T)),
        "macro_f1": _mean_of_finite(list(f1.T)),
        "weighted_f1": (np.nan_to_num(f1) * support).sum(axis=1) / n,
        "kappa": kappa,
    }


def _mean_of_finite(columns: list[np.ndarray]) -> np.ndarray:
    """Returns (b,) the mean over the finite columns; NaN if none is finite."""
    values = np.stack(columns, axis=1)
    defined = np.isfinite(values)
    counts = defined.sum(axis=1)
    sums = np.where(defined, values, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
