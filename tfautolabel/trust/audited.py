"""Certifying by audit: answers come one by one, and a threshold that fails is raised."""

from __future__ import annotations

import math

import numpy as np

from tfautolabel.trust.audits import SequentialAudit
from tfautolabel.trust.betting import log_wealth
from tfautolabel.trust.binomial import check_levels, error_bound
from tfautolabel.trust.certificates import Certificate

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Of the labels, the surest first: how many each threshold of the sequence accepts."""
WHOLE = 0.75
"""The part of the error budget that is spent on accepting all labels; the rest is for higher thresholds."""
ASSUMPTION = (
    "The labels were looked at in the random order that was drawn beforehand, none was passed over, and each "
    "answer is right."
)


def certify_audited(
    scores: np.ndarray,
    correct: np.ndarray,
    order: np.ndarray,
    *,
    target_error: float,
    confidence: float = 0.95,
) -> Certificate:
    """What an audit of n labels certifies so far; it may be asked after every answer.

    The first n of a random permutation of the labels are a random sample of them all, and those of the
    sample above a threshold are a random sample of all labels above it. Each threshold of a sequence fixed
    beforehand has a bettor of its own, whose evidence holds at all times together (`betting`). Thresholds are
    tested from strict to lax by the fallback procedure (Wiens, Pharmaceutical Statistics 2, 2003), which pays
    for the choice: a quarter of the error budget starts at the strictest and is handed on as long as
    thresholds pass, the rest is for accepting everything. So the chance that this ever certifies a threshold
    whose labels are worse than the target is at most one minus the confidence, whenever one stops.

    Why the fallback procedure is valid: let the thresholds with too many errors be in places i1 < i2 < … If
    any of them passes, then so does a first one, and the one before it did not; its level is then at most the
    sum of the shares from just behind that one up to its own. These sums add up to no more than the budget.

    Args:
        scores: (m,) float of all labels that are accepted at first; higher is surer.
        correct: (n,) bool, the answers in the order in which they were given.
        order: (n,) int64, the places in `scores` of what was looked at, from `draw_audit(m, n)`.
        target_error: in (0, 1).
        confidence: in (0, 1).

    Returns:
        The certificate; its pool are the m labels. `needed_labels` counts all that are likely needed,
        including those that were looked at already.

    Raises:
        ValueError: If a level is not in (0, 1) or the shapes do not agree.

    Examples:
        >>> from tfautolabel.trust import draw_audit
        >>> order = draw_audit(1000, 66)
        >>> certify_audited(np.linspace(0.5, 1, 1000), np.ones(66, bool), order, target_error=0.05).coverage
        1.0
    """
    check_levels(target_error, confidence)
    scores, right, order = np.asarray(scores, np.float32), np.asarray(correct, bool), np.asarray(order)
    if right.shape != order.shape or len(order) > len(scores) or len(set(order.tolist())) != len(order):
        raise ValueError(
            "order must name a different label for each answer. Received: "
            f"{len(right)} answers, {len(set(order.tolist()))} different places, {len(scores)} labels"
        )
    if len(scores) == 0:
        raise ValueError("there must be an accepted label to look at. Received: none")
    budget = 1.0 - confidence
    thresholds = _thresholds(scores)
    shares = np.zeros(len(thresholds))
    shares[0] += (1.0 - WHOLE) * budget
    shares[-1] += WHOLE * budget
    p_values = np.array([_p_value(scores, right, order, at, target_error) for at in thresholds])
    levels = reject_in_sequence(p_values, shares)
    passed = np.flatnonzero(levels)
    if not len(passed):
        needed = _needed(scores, right, order, thresholds, shares, target_error)
        return Certificate(
            "impossible", target_error, confidence, None, len(order), 0, 0, 1.0, 0.0, 0, len(scores),
            assumptions=(ASSUMPTION,), needed_labels=needed,
        )  # fmt: skip
    threshold = thresholds[passed[-1]]
    seen = scores[order] >= threshold
    errors, accepted = int((~right[seen]).sum()), int((scores >= threshold).sum())
    return Certificate(
        kind="certified",
        target_error=target_error,
        confidence=confidence,
        threshold=float(threshold),
        n_labels=len(order),
        n_accepted=int(seen.sum()),
        errors=errors,
        upper_bound=min(error_bound(int(seen.sum()), errors, confidence), target_error),
        coverage=accepted / len(scores),
        pool_accepted=accepted,
        pool_size=len(scores),
        assumptions=(ASSUMPTION,),
    )


def reject_in_sequence(p_values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The fallback procedure: who is rejected hands the whole level on to the next.

    Args:
        p_values: (j,) in the order of the sequence.
        shares: (j,) of the error budget, which is their sum.

    Returns:
        (j,) float64: the level at which each hypothesis was rejected, 0 where it was not.

    Examples:
        >>> reject_in_sequence(np.array([0.01, 0.04, 0.2, 0.01]), np.array([0.025, 0, 0, 0.025])).tolist()
        [0.025, 0.0, 0.0, 0.025]
    """
    levels = np.zeros(len(p_values))
    carried = 0.0
    for at, (p_value, share) in enumerate(zip(p_values, shares, strict=True)):
        carried += share
        if p_value <= carried:
            levels[at] = carried
        else:
            carried = 0.0
    return levels


def _thresholds(scores: np.ndarray) -> np.ndarray:
    """(j,) falling; equal ones count once."""
    ordered = np.sort(scores)[::-1]
    places = np.ceil(np.array(SHARES) * len(ordered)).astype(np.int64) - 1
    return np.unique(ordered[places])[::-1]


def _p_value(
    scores: np.ndarray, right: np.ndarray, order: np.ndarray, threshold: float, target_error: float
) -> float:
    size = int((scores >= threshold).sum())
    claimed = math.floor(target_error * size + 1e-9) + 1
    wealth = log_wealth(~right[scores[order] >= threshold], np.array([claimed]), size)
    return math.exp(-max(float(wealth.max(initial=0.0)), 0.0))


def _needed(
    scores: np.ndarray,
    right: np.ndarray,
    order: np.ndarray,
    thresholds: np.ndarray,
    shares: np.ndarray,
    target_error: float,
) -> int | None:
    """The fewest answers in all after which one of the thresholds is likely to pass."""
    found = []
    for threshold, share in zip(thresholds, shares, strict=True):
        seen, of_all = scores[order] >= threshold, scores >= threshold
        # In between the level is what the strictest hands on.
        audit = SequentialAudit(target_error, 1.0 - (share or shares[0]), int(of_all.sum()))
        more = audit.update(right[seen]).expected_more()
        if more is not None:
            found.append(len(order) + math.ceil(more / float(of_all.mean())))
    return min(min(found), len(scores)) if found else None
