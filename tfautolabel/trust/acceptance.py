"""The rule that accepts labels, by thresholds, evidence, certificate and gate, or says why it does not."""

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
    """The acceptance rule that a labeler, its export and a later audit share.

    Attributes:
        thresholds: (k,) float32; a label of a class is sure enough if its confidence is at least the
            threshold.
        barred: (k,) bool; classes whose labels are never accepted, because the target cannot be certified. An
            audit may look at the labels of these classes that are sure enough.
        ood_above: examples with a gate score above this are unlike all labelled examples; infinite without a
            gate.
        unearned: (k,) bool; classes whose labels are never accepted, because held-out labels do not support
            it. An audit may look at them too. None, the default, stands for no class.
    """

    thresholds: np.ndarray
    barred: np.ndarray
    ood_above: float = np.inf
    unearned: np.ndarray | None = None

    @classmethod
    def by_confidence(cls, min_confidence: float, n_classes: int, ood_above: float = np.inf) -> Acceptance:
        """Returns a rule with one threshold for all classes and no barred class."""
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
        """Returns a rule with a certificate's thresholds; a class without a threshold is barred.

        Args:
            certificate: has one threshold for all classes or one for each class.
            classes: k names.
            min_confidence: in [0, 1], the threshold for an audit in classes without a threshold.
            ood_above: the threshold of the gate.
        """
        bounds = certificate.thresholds(classes)
        barred = np.array([bound is None for bound in bounds])
        thresholds = np.array([min_confidence if bound is None else bound for bound in bounds], np.float32)
        return cls(thresholds, barred, ood_above)

    def after(self, earned: Earned, *, with_floor: bool = True) -> Acceptance:
        """Returns the rule, restricted to what held-out labels support.

        Args:
            earned: what held-out labels support.
            with_floor: whether its floor raises the thresholds too; a certificate's thresholds do not need
                that.
        """
        thresholds = self.thresholds
        if with_floor and np.isfinite(earned.floor):
            thresholds = np.maximum(thresholds, np.float32(earned.floor))
        return replace(self, thresholds=thresholds, unearned=self._unearned | earned.refused())

    def audited(self, certificate: Certificate) -> Acceptance:
        """Returns the rule after an audit of the labels that are sure enough.

        Args:
            certificate: from `certify_audited`; its threshold is for all classes.
        """
        if certificate.threshold is None:
            return replace(self, barred=np.ones(len(self.thresholds), bool), unearned=None)
        raised = np.maximum(self.thresholds, np.float32(certificate.threshold))
        return replace(self, thresholds=raised, barred=np.zeros(len(self.thresholds), bool), unearned=None)

    @property
    def bounds(self) -> np.ndarray:
        """(k,) float32: the thresholds; infinite for classes whose labels are never accepted."""
        return np.where(self.barred | self._unearned, np.float32(np.inf), self.thresholds)

    @property
    def _unearned(self) -> np.ndarray:
        return np.zeros(len(self.thresholds), bool) if self.unearned is None else self.unearned

    def reasons(
        self, confidence: np.ndarray, predicted: np.ndarray, ood_score: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns why each label is not accepted.

        Args:
            confidence: (n,) float32.
            predicted: (n,) int64 in [0, k).
            ood_score: (n,) float32, or None without a gate.

        Returns:
            (n,) str, "" if the label is accepted, else one of `tfautolabel.labels.REASONS`.
        """
        reasons = np.full(len(confidence), "", dtype=object)
        reasons[self.barred[predicted]] = NOT_CERTIFIED
        reasons[self._unearned[predicted]] = NOT_EARNED
        reasons[confidence < self.thresholds[predicted]] = NOT_SURE_ENOUGH
        if ood_score is not None:
            reasons[ood_score > np.float32(self.ood_above)] = UNLIKE
        return reasons

    def to_dict(self) -> dict[str, Any]:
        """Returns the rule as plain values, ready for JSON; None for no gate."""
        return {
            "thresholds": self.thresholds.tolist(),
            "barred": self.barred.tolist(),
            "unearned": self._unearned.tolist(),
            "ood_above": self.ood_above if np.isfinite(self.ood_above) else None,
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Acceptance:
        """Restores what `to_dict` returned."""
        # Models of earlier versions use another word for it.
        above = entries["ood_above"] if "ood_above" in entries else entries["unlike_above"]
        return cls(
            np.array(entries["thresholds"], np.float32),
            np.array(entries["barred"], bool),
            np.inf if above is None else above,
            np.array(entries["unearned"], bool) if "unearned" in entries else None,
        )
