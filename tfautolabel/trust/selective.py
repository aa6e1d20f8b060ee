"""Selective classification: the laxest threshold at which the accepted labels are provably good enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfautolabel.trust.binomial import check_levels, error_bound, error_p_values, labels_needed
from tfautolabel.trust.certificates import Certificate, ClassCertificate
from tfautolabel.trust.threshold_sequence import last_passed, sample_thresholds

SOURCES = {
    "held_out": (
        "The labelled examples were drawn independently of each other, like the pool, and took no part in "
        "training or in any choice about the labeler."
    ),
    "pool_sample": (
        "The labelled examples are a simple random sample of the pool and took no part in training or in any "
        "choice about the labeler."
    ),
    "out_of_fold": (
        "The confidences of the labelled examples come from cross-validation: other heads gave them than the "
        "one that labels, so this is an estimate and no guarantee."
    ),
}
"""Where the labelled examples come from, and what is assumed about them."""
_CROSSING = (
    "If accepting all labels above a threshold is too wrong, accepting more of them is too: the share of "
    "errors crosses the target once."
)


def certify(
    confidence_scores: np.ndarray,
    correct: np.ndarray,
    *,
    target_error: float,
    confidence: float = 0.95,
    pool_scores: np.ndarray | None = None,
    source: str = "held_out",
    per_class: bool = False,
    predicted: np.ndarray | None = None,
    pool_predicted: np.ndarray | None = None,
    classes: Sequence[str] | None = None,
) -> Certificate:
    """Finds the laxest threshold at which the accepted labels are provably good enough.

    This is selective classification with guaranteed risk (Geifman and El-Yaniv, arXiv 1705.08500), by a fixed
    sequence of exact binomial tests (Learn then Test, arXiv 2110.01052). `threshold_sequence` says which
    thresholds are tested, and proves that the confidence holds for any number of labels.

    With `per_class`, every predicted class gets an equal share of the error budget (Bonferroni): with the
    stated confidence, all classes that have a threshold meet the target simultaneously.

    Args:
        confidence_scores: (n,) float, how sure the labeler is of each labelled example; higher is surer.
        correct: (n,) bool, whether its label was right.
        target_error: in (0, 1).
        confidence: in (0, 1).
        pool_scores: (p,) float, the scores of the examples to label. For "pool_sample", the whole pool with
            the sample in it: its size then makes the bounds slightly tighter.
        source: one of `SOURCES`.
        per_class: whether each predicted class gets its own threshold.
        predicted: (n,) int64 in [0, k), the classes of the labels, for `per_class`.
        pool_predicted: (p,) int64 in [0, k), for `per_class` with a pool.
        classes: k names, for `per_class`.

    Returns:
        The certificate.

    Raises:
        ValueError: If a level is not in (0, 1), a name is unknown, shapes do not agree, or an argument that
            the options need is missing.

    Examples:
        >>> certify(np.ones(58), np.ones(58, bool), target_error=0.05).needed_labels
        59
    """
    check_levels(target_error, confidence)
    scores, right = np.asarray(confidence_scores, np.float32), np.asarray(correct, bool)
    pool = None if pool_scores is None else np.asarray(pool_scores, np.float32)
    _check(scores, right, pool, source)
    assumptions = (SOURCES[source], _CROSSING)
    budget = 1.0 - confidence

    def statement(rows: np.ndarray, pool_rows: np.ndarray | None, share: float) -> ClassCertificate:
        own_pool = None if pool is None else pool[pool_rows]
        return _one(scores[rows], right[rows], own_pool, target_error, share, source)

    everything = np.ones(len(scores), bool), None if pool is None else np.ones(len(pool), bool)
    if not per_class:
        whole = statement(*everything, budget)
        return Certificate(
            target_error=target_error, confidence=confidence, assumptions=assumptions, **vars(whole)
        )
    if predicted is None or classes is None or (pool is not None and pool_predicted is None):
        raise ValueError(
            "per_class needs predicted, classes and, with a pool, pool_predicted. Received: "
            f"predicted={predicted is not None}, classes={classes is not None}, "
            f"pool_predicted={pool_predicted is not None}"
        )
    found = {
        name: statement(
            np.asarray(predicted) == number,
            None if pool_predicted is None else np.asarray(pool_predicted) == number,
            budget / len(classes),
        )
        for number, name in enumerate(classes)
    }
    return _together(found, target_error, confidence, assumptions)


def _one(
    scores: np.ndarray,
    right: np.ndarray,
    pool: np.ndarray | None,
    target_error: float,
    budget: float,
    source: str,
) -> ClassCertificate:
    """Finds one threshold with one share of the error budget."""
    thresholds = sample_thresholds(scores, target_error, budget)
    n = (scores >= thresholds[:, None]).sum(axis=1)
    errors = ((scores >= thresholds[:, None]) & ~right).sum(axis=1)
    sizes = None
    if source == "pool_sample" and pool is not None:
        sizes = (pool >= thresholds[:, None]).sum(axis=1)
        if (sizes < n).any():
            raise ValueError(
                "the pool must hold the sample that was drawn from it. Received: a pool without it"
            )
    at = last_passed(error_p_values(n, errors, target_error, sizes), budget)
    pool_size = None if pool is None else len(pool)
    if at is None:
        return ClassCertificate(
            "impossible", None, len(scores), 0, 0, 1.0, 0.0, None if pool is None else 0, pool_size,
            _needed(scores, right, target_error, budget),
        )  # fmt: skip
    accepted = None if pool is None else int((pool >= thresholds[at]).sum())
    coverage = n[at] / len(scores) if accepted is None else accepted / max(len(pool), 1)  # type: ignore[arg-type]
    return ClassCertificate(
        kind="estimated" if source == "out_of_fold" else "certified",
        threshold=float(thresholds[at]),
        n_labels=len(scores),
        n_accepted=int(n[at]),
        errors=int(errors[at]),
        upper_bound=min(error_bound(int(n[at]), int(errors[at]), 1.0 - budget), target_error),
        coverage=float(coverage),
        pool_accepted=accepted,
        pool_size=pool_size,
        needed_labels=None,
    )


def _needed(scores: np.ndarray, right: np.ndarray, target_error: float, budget: float) -> int | None:
    """Returns how many of the surest labels are enough, if the error rate stays that of the labels so far."""
    fewest = labels_needed(target_error, 1.0 - budget)
    if fewest is None or len(scores) == 0:
        return fewest
    surest = np.argsort(-scores, kind="stable")[:fewest]
    return labels_needed(target_error, 1.0 - budget, float((~right[surest]).mean()))


def _together(
    found: dict[str, ClassCertificate], target_error: float, confidence: float, assumptions: tuple[str, ...]
) -> Certificate:
    """Joins the classes' statements into one; kind and bound come from the classes with a threshold."""
    parts = list(found.values())
    passed = [one for one in parts if one.threshold is not None]
    labels, accepted, errors = (
        sum(getattr(one, name) for one in parts) for name in ("n_labels", "n_accepted", "errors")
    )
    pool_size = sum(one.pool_size for one in parts if one.pool_size is not None)
    pool_accepted = sum(one.pool_accepted for one in parts if one.pool_accepted is not None)
    has_pool = parts[0].pool_size is not None
    needed = [one.needed_labels for one in parts if one.threshold is None]
    return Certificate(
        kind=passed[0].kind if passed else "impossible",
        target_error=target_error,
        confidence=confidence,
        threshold=None,
        n_labels=labels,
        n_accepted=accepted,
        errors=errors,
        upper_bound=max((one.upper_bound for one in passed), default=1.0),
        coverage=(pool_accepted / max(pool_size, 1)) if has_pool else accepted / max(labels, 1),
        pool_accepted=pool_accepted if has_pool else None,
        pool_size=pool_size if has_pool else None,
        per_class=found,
        assumptions=assumptions,
        needed_labels=None if passed or None in needed else sum(one for one in needed if one is not None),
    )


def _check(scores: np.ndarray, right: np.ndarray, pool: np.ndarray | None, source: str) -> None:
    if source not in SOURCES:
        raise ValueError(f"source must be one of {tuple(SOURCES)}. Received: source={source!r}")
    if scores.ndim != 1 or scores.shape != right.shape:
        raise ValueError(
            f"scores and correct must both have shape (n,). Received: shapes {scores.shape}, {right.shape}"
        )
    if not np.isfinite(scores).all() or (pool is not None and not np.isfinite(pool).all()):
        raise ValueError("scores must be finite. Received: NaN or infinity")
    if pool is None and source == "pool_sample":
        raise ValueError(f"a pool is needed for source={source!r}. Received: pool_scores=None")
