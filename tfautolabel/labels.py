"""The table of labels that all parts share: each label, its origin and its confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

ABSTAIN = -1
"""The class id of a row without a label: not labelled yet, unsure, or not read."""

MIN_CONFIDENCE = 0.8
"""Labels with a lower confidence are not accepted, unless the caller chooses another threshold."""

HUMAN_COPY = "human_copy"
DESCRIPTION = "description"
ORIGINS = ("human", HUMAN_COPY, "rule", DESCRIPTION, "model")
"""Who gave a label; "human_copy" if a person gave it to another example with the same content, "rule" if most
rules that vote on the example gave the model's label too, "description" if the model has learnt from
descriptions of the classes only, so that no label calibrates it."""

NOT_SURE_ENOUGH = "not_sure_enough"
UNLIKE = "unlike_anything_labelled"
NOT_EARNED = "not_earned"
NOT_CERTIFIED = "not_certified"
FOUND_WRONG = "found_wrong"
NONE_OF_THESE = "none_of_these"
CANNOT_TELL = "cannot_tell"
REASONS = (
    NOT_SURE_ENOUGH, UNLIKE, NOT_EARNED, NOT_CERTIFIED, FOUND_WRONG, NONE_OF_THESE, CANNOT_TELL,
)  # fmt: skip
"""Why a label is not accepted: below the threshold; unlike all labelled examples; sure enough, but held-out
labels do not support accepting such labels; sure enough, but the requested target cannot be certified; a
person found it wrong; a person found that it is none of the classes, or could not tell."""


def check_min_confidence(min_confidence: float) -> None:
    """Checks that a threshold is a probability.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0.0 <= min_confidence <= 1.0:
        raise ValueError(f"min_confidence must lie in [0, 1]. Received: min_confidence={min_confidence}")


class Unreadable(NamedTuple):
    """An example that was set aside, and why.

    Attributes:
        id: the example's name in the data set.
        reason: for people to read.
    """

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels for n examples of k classes, as a labeler or a person gave them.

    A row is accepted if `class_ids` holds a class and not `ABSTAIN`. For a row that is not accepted, the
    model's prediction is still in `probabilities`.

    Attributes:
        ids: (n,) str, the examples' names, unique within one data set.
        class_ids: (n,) int64, an index into `classes`, or `ABSTAIN` (-1) if the label is not accepted.
        confidence: (n,) float32 in [0, 1], the probability of the most probable class.
        probabilities: (n, k) float32, rows sum to 1.
        classes: k class names.
        origin: (n,) str, one of `ORIGINS` for each row.
        unreadable: examples that could not be read and have no row here.
        reason: (n,) str, "" if the label is accepted, else one of `REASONS`; by default `NOT_SURE_ENOUGH`.
        ood_score: (n,) float32, how unlike all labelled examples each example is; higher is more unlike. NaN,
            the default, if it was not measured.

    Raises:
        ValueError: If there are no classes, the shapes do not agree, or a class id is neither `ABSTAIN` nor
            an index into `classes`.

    Examples:
        >>> import numpy as np
        >>> labels = Labels.from_probabilities(
        ...     ["a.jpg", "b.jpg"], np.array([[0.9, 0.1], [0.45, 0.55]]), ["cat", "dog"], min_confidence=0.8)
        >>> labels.class_ids.tolist(), labels.predicted.tolist(), labels.accepted.tolist()
        ([0, -1], ['cat', 'dog'], [True, False])
    """

    ids: np.ndarray
    class_ids: np.ndarray
    confidence: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    origin: np.ndarray
    unreadable: tuple[Unreadable, ...] = ()
    reason: np.ndarray = None  # type: ignore[assignment] # filled in below
    ood_score: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        n, k = len(self.ids), len(self.classes)
        if self.reason is None:
            reason = np.where(np.asarray(self.class_ids) == ABSTAIN, NOT_SURE_ENOUGH, "").astype(object)
            object.__setattr__(self, "reason", reason)
        if self.ood_score is None:
            object.__setattr__(self, "ood_score", np.full(n, np.nan, np.float32))
        if k == 0:
            raise ValueError("labels need at least one class. Received: classes=()")
        shapes = {
            "class_ids": (np.shape(self.class_ids), (n,)),
            "confidence": (np.shape(self.confidence), (n,)),
            "probabilities": (np.shape(self.probabilities), (n, k)),
            "origin": (np.shape(self.origin), (n,)),
            "reason": (np.shape(self.reason), (n,)),
            "ood_score": (np.shape(self.ood_score), (n,)),
        }
        for name, (received, valid) in shapes.items():
            if received != valid:
                raise ValueError(
                    f"{name} must have shape {valid} for {n} ids and {k} classes. "
                    f"Received: {name} of shape {received}"
                )
        if n and not (self.class_ids.min() >= -1 and self.class_ids.max() < k):
            raise ValueError(f"class_ids must lie in [-1, {k - 1}]. Received: {np.unique(self.class_ids)}")

    @classmethod
    def from_probabilities(
        cls,
        ids: Sequence[str],
        probabilities: np.ndarray,
        classes: Sequence[str],
        min_confidence: float = 0.0,
        origin: str = "model",
        unreadable: Sequence[Unreadable] = (),
        reason: np.ndarray | None = None,
        ood_score: np.ndarray | None = None,
    ) -> Labels:
        """Labels each row with its most probable class and abstains below `min_confidence`.

        Args:
            ids: n names.
            probabilities: (n, k), rows sum to 1.
            classes: k names.
            min_confidence: in [0, 1]; rows with a lower confidence become `ABSTAIN`.
            origin: one of `ORIGINS`.
            unreadable: examples that could not be read.
            reason: (n,) str, why each label is not accepted, "" if it is; replaces `min_confidence`.
            ood_score: (n,) float32, see `Labels`.

        Returns:
            n labels.

        Raises:
            ValueError: If `min_confidence` or `origin` is not valid, or the shapes do not agree.
        """
        check_min_confidence(min_confidence)
        if origin not in ORIGINS:
            raise ValueError(f"origin must be one of {ORIGINS}. Received: origin={origin!r}")
        probabilities = np.asarray(probabilities, np.float32).reshape(len(ids), len(classes))
        best = probabilities.argmax(axis=1).astype(np.int64) if len(ids) else np.zeros(0, np.int64)
        confidence = probabilities[np.arange(len(ids)), best]
        accepted = confidence >= np.float32(min_confidence) if reason is None else reason == ""
        return cls(
            ids=np.asarray(ids, dtype=object),
            class_ids=np.where(accepted, best, ABSTAIN),
            confidence=confidence,
            probabilities=probabilities,
            classes=tuple(classes),
            origin=np.full(len(ids), origin, dtype=object),
            unreadable=tuple(unreadable),
            reason=reason,  # type: ignore[arg-type] # None becomes the default
            ood_score=ood_score,  # type: ignore[arg-type]
        )

    def without(self, reasons: Mapping[str, str]) -> Labels:
        """Returns the same labels, of which some are not accepted, because a person said so.

        Args:
            reasons: id to one of `REASONS`; ids that are not among these labels do not matter.
        """
        said = np.array([reasons.get(str(name), "") for name in self.ids], dtype=object)
        refused = said != ""
        if not refused.any():
            return self
        return replace(
            self,
            class_ids=np.where(refused, ABSTAIN, self.class_ids),
            reason=np.where(refused, said, self.reason),
            origin=np.where(refused, "human", self.origin),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def accepted(self) -> np.ndarray:
        """(n,) bool: which rows have an accepted label."""
        return np.asarray(self.class_ids != ABSTAIN)

    @property
    def predicted(self) -> np.ndarray:
        """(n,) str: the most probable class of each row, accepted or not."""
        return np.asarray(np.asarray(self.classes, dtype=object)[self.probabilities.argmax(axis=1)])

    @property
    def runner_up(self) -> tuple[np.ndarray, np.ndarray]:
        """(n,) str and (n,) float32: the second most probable class of each row and its probability.

        With only one class, the names are empty and the probabilities are 0.
        """
        if len(self.classes) == 1:
            return np.full(len(self), "", dtype=object), np.zeros(len(self), np.float32)
        second = np.argsort(-self.probabilities, axis=1, kind="stable")[:, 1]
        names = np.asarray(self.classes, dtype=object)[second]
        return names, self.probabilities[np.arange(len(self)), second]
