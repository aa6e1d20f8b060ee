"""How many answers an audit needs: one function and one wording for all parts of the package."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tfautolabel.trust.audit_design import AuditDesign, design_weights
from tfautolabel.trust.audited import passed_thresholds

FURTHEST, FOLDS = 10_000, 40.0
"""The search ends at the first number, or at the second x log(1 / (1 - confidence)) / target."""


@dataclass(frozen=True)
class AnswersNeeded:
    """How many answers certify a target; the numbers include the answers given so far.

    Attributes:
        answered: how many answers there are.
        wrong: how many of them say that the label is wrong.
        if_right: answers in total, if each further one says that the label is right; None if even that is not
            enough, or not within the limit.
        expected: answers in total, if the error rate stays the same; None if no number is enough.
        pool_size: how many labels there are to look at.
        limit: the largest number of answers that was tried.
    """

    answered: int
    wrong: int
    if_right: int | None
    expected: int | None
    pool_size: int
    limit: int

    @property
    def more(self) -> int | None:
        """How many further answers are needed, if each says that the label is right."""
        return None if self.if_right is None else self.if_right - self.answered

    @property
    def is_impossible(self) -> bool:
        """Whether so many labels were wrong that no further answers can certify the target."""
        return self.if_right is None and self.limit >= self.pool_size

    @property
    def to_list(self) -> int:
        """How long a list must be so that it is likely to be enough; never more than there are labels."""
        found = self.if_right if self.expected is None else self.expected
        return self.limit if found is None else found

    def sentence(self) -> str:
        """Says the same in words.

        Examples:
            >>> AnswersNeeded(0, 0, 62, 62, 1000, 1000).sentence()
            '62 answers are needed if all of them say that the label is right'
            >>> AnswersNeeded(70, 1, 93, 118, 1000, 1000).sentence().partition(", about ")[2]
            '48 if errors stay as frequent as they were (1 in 70)'
        """
        if self.is_impossible:
            return "no number of answers would do: too many labels were found wrong"
        if self.more is None:
            return f"more than {self.limit:,} answers are needed, whatever they say"
        if self.more == 0:
            return "no more answers are needed"
        kind = "more answer" if self.answered else "answer"
        if self.more == 1:
            said = f"1 {kind} is needed, if it says that the label is right"
        else:
            said = f"{self.more:,} {kind}s are needed if all of them say that the label is right"
        if not self.wrong:
            return said
        rate = f"if errors stay as frequent as they were ({self.wrong:,} in {self.answered:,})"
        if self.expected is None:
            return f"{said}; {rate}, no number up to {self.limit:,} would do"
        return f"{said}, about {self.expected - self.answered:,} {rate}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the numbers as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> AnswersNeeded:
        """Restores what `to_dict` returned."""
        return cls(**entries)


def answers_needed(
    scores: np.ndarray,
    correct: np.ndarray,
    *,
    target_error: float,
    confidence: float = 0.95,
    design: AuditDesign | None = None,
) -> AnswersNeeded:
    """Returns how many answers certify a threshold, by the rule of `certify_audited` and the design's order.

    Args:
        scores: (m,) float, the scores of all labels that an audit may look at.
        correct: (n,) bool, the answers so far.
        target_error: in (0, 1).
        confidence: in (0, 1).
        design: how labels are drawn; None for `draw_audit`.

    Returns:
        The numbers; both equal the number of answers given if the target is already reached.

    Examples:
        >>> answers_needed(np.ones(10_000), np.zeros(0, bool), target_error=0.05).if_right
        65
    """
    scores, right = np.asarray(scores, np.float32), np.asarray(correct, bool)
    design = design or AuditDesign.simple()
    n, wrong = len(right), int((~right).sum())
    needed = FOLDS * -math.log(1.0 - confidence) / target_error
    limit = min(len(scores), max(min(FURTHEST, math.ceil(needed)), n))
    order = design.order(scores, limit)

    def first_passed(rate: float) -> int | None:
        """Returns the fewest answers in total, if errors come evenly at a rate."""
        length = 0
        while length < limit:
            length = min(max(2 * length, n + 128), limit)
            # The first error comes when half an error is due: on average neither too early nor too late.
            due = np.floor(rate * np.arange(1, length - n + 1) + 0.5)
            further = np.diff(due, prepend=0.0) == 0
            answers = np.concatenate([right, further])
            passed = passed_thresholds(scores, answers, order[:length], design, target_error, confidence)
            found = np.flatnonzero(passed >= 0)
            if len(found):
                return max(int(found[0]) + 1, n)
        return None

    if_right = first_passed(0.0) if len(scores) else None
    expected = if_right if not wrong or if_right in (None, n) else first_passed(wrong / n)
    return AnswersNeeded(n, wrong, if_right, expected, len(scores), limit)


def design_audit(
    scores: np.ndarray, *, target_error: float, confidence: float = 0.95, seed: int = 0
) -> AuditDesign:
    """Returns an audit's design: a simple random sample that is enough without errors, then `design_weights`.

    Args:
        scores: (m,) float, the confidences of all labels that an audit may look at.
        target_error: in (0, 1).
        confidence: in (0, 1).
        seed: determines the order.
    """
    scores = np.asarray(scores, np.float32)
    alike = design_weights(scores, target_error, len(scores), seed)
    none = np.zeros(0, bool)
    first = answers_needed(
        scores, none, target_error=target_error, confidence=confidence, design=alike
    ).if_right
    return replace(alike, uniform=len(scores) if first is None else first)
