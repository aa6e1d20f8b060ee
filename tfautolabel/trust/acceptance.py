"""Which labels are accepted, and why the others are not: thresholds, evidence, certificate and gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfautolabel.labels import NOT_CERTIFIED, NOT_EARNED, NOT_SURE_ENOUGH, UNLIKE
from tfautolabel.trust.certificates import Certificate
from tfautolabel.trust.earned import Earned


@dataclass(frozen=True, eq=False)
class Acceptance:
    """The rule that a labeler, its export and a later audit share.

    Attributes:
        thresholds: (k,) float32; a label of a class is sure enough if its confidence is at least this.
        barred: (k,) bool; classes of which nothing is accepted, because the target cannot be certified. What
            is sure enough in them is what an audit may look at.
        ood_above: scores of a gate above this are unlike all that was labelled; infinite without a gate.
        unearned: (k,) bool; classes of which nothing is accepted, because held-out labels do not bear it out.
            An audit may look at them too. None by default: of no class.
    """

    thresholds: np.ndarray
    barred: np.ndarray
    ood_above: float = np.inf
    unearned: np.ndarray | None = None

    @classmethod
    def by_confidence(cls, min_confidence: float, n_classes: int, ood_above: float = np.inf) -> Acceptance:
        """One threshold for all classes, nothing barred."""
        thresholds = np.full(n_classes, min_confidence, np.float32)
        return cls(thresholds, np.zeros(n_classes, bool), ood_above)

    @classmethod
    def by_certificate(
        cls,
        certificate: Certificate,
        classes: Sequence[str],
        min_confidence: float,
        ood_above: float = np.inf,
    ) -> Acceptance:
        """The thresholds of a certificate; without one, nothing of a class is accepted.

        Args:
            certificate: with one threshold for all or one a class.
            classes: k names.
            min_confidence: in [0, 1], what is sure enough to be looked at where there is no threshold.
            ood_above: of the gate.
        """
        bounds = certificate.thresholds(classes)
        barred = np.array([bound is None for bound in bounds])
        thresholds = np.array([min_confidence if bound is None else bound for bound in bounds], np.float32)
        return cls(thresholds, barred, ood_above)

    def after(self, earned: Earned, *, with_floor: bool = True) -> Acceptance:
        """The same rule within what held-out labels bear out.

        Args:
            earned: what they bear out.
            with_floor: whether its floor raises the thresholds too; a certificate's are bounds of their own.
        """
        thresholds = self.thresholds
        if with_floor and np.isfinite(earned.floor):
            thresholds = np.maximum(thresholds, np.float32(earned.floor))
        return replace(self, thresholds=thresholds, unearned=self._unearned | earned.refused())

    def audited(self, certificate: Certificate) -> Acceptance:
        """The same rule after an audit of what is sure enough by it.

        Args:
            certificate: from `certify_audited`; its threshold is for all classes.
        """
        if certificate.threshold is None:
            return replace(self, barred=np.ones(len(self.thresholds), bool), unearned=None)
        raised = np.maximum(self.thresholds, np.float32(certificate.threshold))
        return replace(self, thresholds=raised, barred=np.zeros(len(self.thresholds), bool), unearned=None)

    @property
    def bounds(self) -> np.ndarray:
        """(k,) float32: the thresholds, infinite for classes of which nothing is accepted."""
        return np.where(self.barred | self._unearned, np.float32(np.inf), self.thresholds)

    @property
    def _unearned(self) -> np.ndarray:
        return np.zeros(len(self.thresholds), bool) if self.unearned is None else self.unearned

    def reasons(
        self, confidence: np.ndarray, predicted: np.ndarray, ood_score: np.ndarray | None = None
    ) -> np.ndarray:
        """Why each label is not accepted.

        Args:
            confidence: (n,) float32.
            predicted: (n,) int64 in [0, k).
            ood_score: (n,) float32, or None without a gate.

        Returns:
            (n,) str, "" where it is accepted, else one of `tfautolabel.labels.REASONS`.
        """
        reasons = np.full(len(confidence), "", dtype=object)
        reasons[self.barred[predicted]] = NOT_CERTIFIED
        reasons[self._unearned[predicted]] = NOT_EARNED
        reasons[confidence < self.thresholds[predicted]] = NOT_SURE_ENOUGH
        if ood_score is not None:
            reasons[ood_score > np.float32(self.ood_above)] = UNLIKE
        return reasons

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON; None for no gate."""
        return {
            "thresholds": self.thresholds.tolist(),
            "barred": self.barred.tolist(),
            "unearned": self._unearned.tolist(),
            "ood_above": self.ood_above if np.isfinite(self.ood_above) else None,
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Acceptance:
        """What `to_dict` gave, back again."""
        # Models of earlier versions have another word for it.
        above = entries["ood_above"] if "ood_above" in entries else entries["unlike_above"]
        return cls(
            np.array(entries["thresholds"], np.float32),
            np.array(entries["barred"], bool),
            np.inf if above is None else above,
            np.array(entries["unearned"], bool) if "unearned" in entries else None,
        )
