"""Certifies labels by an audit: answers come one by one, and a threshold that fails is raised."""

from __future__ import annotations

import numpy as np

from tfautolabel.trust.audit_design import AuditDesign
from tfautolabel.trust.binomial import check_levels, error_bound
from tfautolabel.trust.certificates import Certificate
from tfautolabel.trust.stratified_betting import log_wealth

SHARES = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""The share of the labels, surest first, that each threshold of the sequence accepts."""
PARTS = (0.02, 0.0, 0.04, 0.0, 0.0, 0.94)
"""How the error budget is split: most for accepting all labels, some for a part that passes sooner."""
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
    design: AuditDesign | None = None,
) -> Certificate:
    """Returns what an audit of n labels certifies so far; may be called after every answer.

    The sampled labels above a threshold are a sample of the same kind of all labels above it. The sequence of
    thresholds is fixed beforehand. Each threshold has its own bettor, whose evidence is valid at all times
    simultaneously (`stratified_betting`). The fallback procedure (Wiens, Pharmaceutical Statistics 2, 2003)
    tests thresholds from strict to lax and corrects for the choice: each threshold has a part of the error
    budget, and a threshold that passes hands all of its budget on to the next one. So the chance that this
    ever certifies a threshold whose labels are worse than the target is at most one minus the confidence, for
    any stopping time.

    Why the fallback procedure is valid: let i1 < i2 < … be the places of the thresholds with too many errors.
    If any of them passes, consider the first one that passes; the one of them before it did not pass. So its
    level is at most the sum of the shares after that one, up to and with its own. The sum of all these levels
    is at most the budget.

    Args:
        scores: (m,) float, the scores of all labels that are accepted at first; higher is surer.
        correct: (n,) bool, the answers in the order in which they were given.
        order: (n,) int64, the indices into `scores` of the audited labels, in the order of the design.
        target_error: in (0, 1).
        confidence: in (0, 1).
        design: how the labels were drawn; None for `draw_audit`.

    Returns:
        The certificate; its pool is the m labels. `answers_needed` says how many answers are needed.

    Raises:
        ValueError: If a level is not in (0, 1) or the shapes do not agree.

    Examples:
        >>> from tfautolabel.trust import draw_audit
        >>> order = draw_audit(1000, 66)
        >>> certify_audited(np.ones(1000), np.ones(66, bool), order, target_error=0.05).coverage
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
    design = design or AuditDesign.simple()
    thresholds, _ = audited_thresholds(scores)
    passed = passed_thresholds(scores, right, order, design, target_error, confidence)
    if not len(order) or passed[-1] < 0:
        return Certificate(
            "impossible", target_error, confidence, None, len(order), 0, 0, 1.0, 0.0, 0, len(scores),
            assumptions=(ASSUMPTION,),
        )  # fmt: skip
    threshold = thresholds[passed[-1]]
    seen = scores[order] >= threshold
    errors, accepted = int((~right[seen]).sum()), int((scores >= threshold).sum())
    # In a sample that prefers some labels, the share of errors is not that of all labels.
    alike = len(order) <= design.uniform or len(design.weights) == 1
    bound = error_bound(int(seen.sum()), errors, confidence) if alike else target_error
    return Certificate(
        kind="certified",
        target_error=target_error,
        confidence=confidence,
        threshold=float(threshold),
        n_labels=len(order),
        n_accepted=int(seen.sum()),
        errors=errors,
        upper_bound=min(bound, target_error),
        coverage=accepted / len(scores),
        pool_accepted=accepted,
        pool_size=len(scores),
        assumptions=(ASSUMPTION,),
    )


def audited_thresholds(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (j,) float32, the decreasing thresholds to test, and (j,) their parts of the error budget."""
    ordered = np.sort(np.asarray(scores, np.float32))[::-1]
    places = np.ceil(np.array(SHARES) * len(ordered)).astype(np.int64) - 1
    thresholds, which = np.unique(-ordered[places], return_inverse=True)
    return -thresholds, np.bincount(which, PARTS)


def passed_thresholds(
    scores: np.ndarray,
    right: np.ndarray,
    order: np.ndarray,
    design: AuditDesign,
    target_error: float,
    confidence: float,
) -> np.ndarray:
    """Returns (n,) int64: the place of the laxest threshold passed after each answer; -1 if none."""
    thresholds, parts = audited_thresholds(scores)
    paths = [
        log_wealth(scores, order, ~right, design, target_error, scores >= threshold)
        for threshold in thresholds
    ]
    evidence = np.maximum.accumulate(np.maximum(np.array(paths), 0.0), axis=1)
    levels = reject_in_sequence(np.exp(-evidence), (1.0 - confidence) * parts)
    places = np.arange(len(thresholds))[:, None]
    return np.asarray(np.where(levels > 0.0, places, -1).max(axis=0))


def reject_in_sequence(p_values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Tests by the fallback procedure: a rejected hypothesis hands its whole level on to the next.

    Args:
        p_values: (j, …) in the order of the sequence; each column is a separate test.
        shares: (j,) the parts of the error budget; their sum is the budget.

    Returns:
        (j, …) float64: the level at which each hypothesis was rejected, 0 if it was not rejected.

    Examples:
        >>> reject_in_sequence(np.array([0.01, 0.04, 0.2, 0.01]), np.array([0.025, 0, 0, 0.025])).tolist()
        [0.025, 0.0, 0.0, 0.025]
    """
    levels = np.zeros(np.shape(p_values))
    carried = np.zeros(np.shape(p_values)[1:])
    for at, (p_value, share) in enumerate(zip(p_values, shares, strict=True)):
        carried = carried + share
        levels[at] = np.where(p_value <= carried, carried, 0.0)
        carried = levels[at]
    return levels
