"""A statement about accepted labels: with a stated confidence, at most a stated share of them is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ClassCertificate:
    """What holds for the labels of one predicted class; the names mean what they mean in `Certificate`."""

    kind: str
    threshold: float | None
    n_labels: int
    n_accepted: int
    errors: int
    upper_bound: float
    coverage: float
    pool_accepted: int | None
    pool_size: int | None
    needed_labels: int | None


@dataclass(frozen=True)
class Certificate:
    """A statement about the labels that are accepted, and what it rests on.

    Attributes:
        kind: "certified", "estimated" (the labelled examples come from cross-validation) or "impossible".
        target_error: the share of wrong labels among the accepted ones that is not exceeded, in (0, 1).
        confidence: how often such statements are true at least, in (0, 1).
        threshold: labels are accepted whose score is at least this, as float32; None where no threshold can
            be given or each class has one of its own.
        n_labels: labelled examples that were used.
        n_accepted: those of them that are accepted.
        errors: wrong labels among these.
        upper_bound: the exact upper bound of the share of errors from these two counts; at most the target
            where there is a threshold. Only the target is guaranteed, since the threshold was chosen.
        coverage: accepted share of the pool, or of the labelled examples without a pool.
        pool_accepted: accepted labels of the pool; None without a pool.
        pool_size: labels of the pool; None without a pool.
        per_class: name of each predicted class to what holds for it; all hold together with the confidence.
        assumptions: sentences; the statement holds if they do.
        needed_labels: where impossible, how many labels chosen at random from the surest ones suffice if
            errors stay as frequent as they were; None where no number would.
    """

    kind: str
    target_error: float
    confidence: float
    threshold: float | None
    n_labels: int
    n_accepted: int
    errors: int
    upper_bound: float
    coverage: float
    pool_accepted: int | None = None
    pool_size: int | None = None
    per_class: dict[str, ClassCertificate] | None = None
    assumptions: tuple[str, ...] = ()
    needed_labels: int | None = None

    def thresholds(self, classes: Sequence[str]) -> list[float | None]:
        """The confidence from which labels of each class are accepted; None where none are.

        Args:
            classes: k names.
        """
        parts = self.per_class
        return [self.threshold if parts is None else parts[name].threshold for name in classes]

    def accepts(self, scores: np.ndarray, predicted: np.ndarray | None = None) -> np.ndarray:
        """Which labels are accepted.

        Args:
            scores: (n,) float, as given for the certificate.
            predicted: (n,) int64 class ids, needed if every class has a threshold of its own.

        Returns:
            (n,) bool.

        Raises:
            ValueError: If `predicted` is missing.
        """
        scores = np.asarray(scores, np.float32)
        if self.per_class is not None and predicted is None:
            raise ValueError("every class has its own threshold: give predicted=. Received: scores only")
        found = [self.threshold] if self.per_class is None else self.thresholds([*self.per_class])
        bounds = np.array([np.inf if bound is None else bound for bound in found], np.float32)
        return np.asarray(scores >= (bounds[0] if self.per_class is None else bounds[np.asarray(predicted)]))

    def of_pool(self, accepted: int, total: int) -> Certificate:
        """The same statement, which also says how many of a pool's labels are accepted by it."""
        coverage = accepted / max(total, 1)
        return replace(self, pool_accepted=accepted, pool_size=total, coverage=coverage)

    def sentence(self) -> str:
        """The statement in words, for people.

        Examples:
            >>> Certificate("certified", 0.05, 0.95, 0.8, 300, 250, 4, 0.036, 0.83, 830, 1000).sentence()
            '830 of 1,000 labels are accepted; with 95 % confidence at most 5 % of them are wrong'
        """
        target, sure = percent(self.target_error), percent(self.confidence)
        if self.kind == "impossible":
            cannot = f"with these labels it cannot be certified that at most {target} are wrong"
            # How many an audit needs is told by `answers_needed` alone, from the pool that it looks at.
            if self.needed_labels is None:
                return f"{cannot}: too many of the surest are wrong"
            return f"{cannot}; an audit of the surest ones may"
        of_whom = "of each class" if self.per_class is not None else "of them"
        if self.kind == "estimated":
            return (
                f"{self._accepted()}; by an estimate from cross-validation, which is no guarantee, at most "
                f"{target} {of_whom} are wrong"
            )
        return f"{self._accepted()}; with {sure} confidence at most {target} {of_whom} are wrong"

    def _accepted(self) -> str:
        if self.pool_size is not None:
            return f"{self.pool_accepted:,} of {self.pool_size:,} labels are accepted"
        if self.n_accepted == self.n_labels:
            return "all labels are accepted"
        share = percent(round(self.coverage, 3))
        if self.threshold is None:
            return f"about {share} of the labels are accepted"
        return f"labels with a confidence of at least {self.threshold:.3f}, about {share}, are accepted"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self) | {"assumptions": list(self.assumptions)}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Certificate:
        """What `to_dict` gave, back again."""
        per_class = entries["per_class"]
        if per_class is not None:
            per_class = {name: ClassCertificate(**one) for name, one in per_class.items()}
        return cls(**entries | {"per_class": per_class, "assumptions": tuple(entries["assumptions"])})


def percent(share: float) -> str:
    """A share as people write it.

    Examples:
        >>> percent(0.05), percent(0.999), percent(0.0025)
        ('5 %', '99.9 %', '0.25 %')
    """
    return f"{100.0 * share:.4g} %"


def with_pool(
    certificate: Certificate, classes: Sequence[str], predicted: np.ndarray, accepted: np.ndarray
) -> Certificate:
    """A certificate that also says how much of a pool is accepted by it.

    Args:
        certificate: without a pool.
        classes: k names.
        predicted: (k,) int64, labels of the pool by their class.
        accepted: (k,) int64, those of them that are accepted.
    """
    per_class = certificate.per_class and {
        name: replace(
            certificate.per_class[name],
            coverage=float(accepted[number] / max(predicted[number], 1)),
            pool_accepted=int(accepted[number]),
            pool_size=int(predicted[number]),
        )
        for number, name in enumerate(classes)
    }
    return replace(certificate, per_class=per_class).of_pool(int(accepted.sum()), int(predicted.sum()))
