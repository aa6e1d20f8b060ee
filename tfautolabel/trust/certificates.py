"""Certificates: with a stated confidence, at most a stated share of the accepted labels is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

OTHER_POPULATION = "refused: other population"
"""The kind of a statement that is not made, because labels say nothing of another population."""


@dataclass(frozen=True)
class ClassCertificate:
    """The statement for the labels of one predicted class; the attributes are those of `Certificate`."""

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
    """A statement about the accepted labels, with its data and assumptions.

    Attributes:
        kind: "certified", "estimated" (the labelled examples come from cross-validation), "impossible", or
            `OTHER_POPULATION`.
        target_error: the largest share of wrong labels among the accepted ones, in (0, 1).
        confidence: in (0, 1); at least this share of such statements is true.
        threshold: labels with at least this score, as float32, are accepted; None if there is no valid
            threshold or if each class has its own.
        n_labels: how many labelled examples were used.
        n_accepted: how many of them are accepted.
        errors: how many of the accepted ones are wrong.
        upper_bound: the exact upper bound of the share of errors from these two counts; at most the target
            if there is a threshold. Only the target is guaranteed, because the data chose the threshold.
        coverage: the accepted share of the pool, or of the labelled examples if there is no pool.
        pool_accepted: how many labels of the pool are accepted; None without a pool.
        pool_size: how many labels the pool has; None without a pool.
        per_class: name of each predicted class to its statement; the confidence is that of all together.
        assumptions: sentences; the statement holds if they are true.
        needed_labels: if impossible, how many labels drawn at random from the surest ones are enough, if the
            error rate stays the same; None if no number is enough.
        other_population: if refused as of another population, the p-value that shows it.
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
    other_population: float | None = None

    @property
    def possible(self) -> bool:
        """Whether the statement is made at all."""
        return self.kind in ("certified", "estimated")

    def refused(self, p_value: float) -> Certificate:
        """Returns the refusal of the statement: the labels are of another population than the pool.

        Args:
            p_value: shows that they are, see `tfautolabel.measures.shift`.
        """
        nothing: dict[str, Any] = {
            "kind": OTHER_POPULATION,
            "threshold": None,
            "n_accepted": 0,
            "errors": 0,
            "upper_bound": 1.0,
            "coverage": 0.0,
            "pool_accepted": None if self.pool_accepted is None else 0,
            "needed_labels": None,
        }
        parts = self.per_class
        if parts is not None:
            parts = {name: replace(one, **nothing) for name, one in parts.items()}
        return replace(self, per_class=parts, other_population=p_value, **nothing)

    def thresholds(self, classes: Sequence[str]) -> list[float | None]:
        """Returns the confidence from which labels of each class are accepted; None if none are.

        Args:
            classes: k names.
        """
        parts = self.per_class
        return [self.threshold if parts is None else parts[name].threshold for name in classes]

    def accepts(self, scores: np.ndarray, predicted: np.ndarray | None = None) -> np.ndarray:
        """Returns which labels are accepted.

        Args:
            scores: (n,) float, as given for the certificate.
            predicted: (n,) int64 class ids; required if each class has its own threshold.

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
        """Returns the statement with the number of a pool's labels that it accepts."""
        coverage = accepted / max(total, 1)
        return replace(self, pool_accepted=accepted, pool_size=total, coverage=coverage)

    def sentence(self) -> str:
        """Returns the statement in words, for people.

        Examples:
            >>> Certificate("certified", 0.05, 0.95, 0.8, 300, 250, 4, 0.036, 0.83, 830, 1000).sentence()
            '830 of 1,000 labels are accepted; with 95 % confidence at most 5 % of them are wrong'
        """
        target, sure = percent(self.target_error), percent(self.confidence)
        if self.kind == OTHER_POPULATION:
            return (
                f"refused: it cannot be certified that at most {target} are wrong, because the labelled "
                f"examples are of another population than those to label (p = {self.other_population:.3g}); "
                "an audit, which looks at some of these, can certify it"
            )
        if self.kind == "impossible":
            cannot = f"with these labels it cannot be certified that at most {target} are wrong"
            # Only `answers_needed` says how many answers an audit needs, from the pool that it looks at.
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
        """Returns the statement as plain values, ready for JSON."""
        return asdict(self) | {"assumptions": list(self.assumptions)}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Certificate:
        """Restores what `to_dict` returned."""
        per_class = entries["per_class"]
        if per_class is not None:
            per_class = {name: ClassCertificate(**one) for name, one in per_class.items()}
        return cls(**entries | {"per_class": per_class, "assumptions": tuple(entries["assumptions"])})


def percent(share: float) -> str:
    """Formats a share as a percentage.

    Examples:
        >>> percent(0.05), percent(0.999), percent(0.0025)
        ('5 %', '99.9 %', '0.25 %')
    """
    return f"{100.0 * share:.4g} %"


def with_pool(
    certificate: Certificate, classes: Sequence[str], predicted: np.ndarray, accepted: np.ndarray
) -> Certificate:
    """Returns a certificate with the number of a pool's labels that it accepts.

    Args:
        certificate: a certificate without a pool.
        classes: k names.
        predicted: (k,) int64, how many labels of the pool each class has.
        accepted: (k,) int64, how many of them are accepted.
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
