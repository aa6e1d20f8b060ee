"""What a labeler may accept, judged by held-out labels.

A probability is the model's claim about itself. Held-out labelled examples must support this claim before
labels are accepted by it. The labels must be better than one class for all, held-out examples must have
judged each class, and the labels to accept must be right about as often as their confidences say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import binom, poisson

LEVEL = 0.05
"""The largest chance that a labeler passes although it is no better than one class for all."""

OVERCONFIDENT = 0.1
"""The smallest acceptable chance of so many held-out errors if the confidences were true; below it, fewer
labels are accepted."""


@dataclass(frozen=True)
class Earned:
    """What a labeler may accept.

    Attributes:
        labels: how many labelled examples were held out, each in turn.
        right: how many of their labels were right.
        commonest: the class id that is most frequent among them.
        commonest_count: how many of them have this class.
        p_value: of the exact sign test (McNemar) that the labeler is better than this class for all.
        counts: how many labelled examples each class has.
        guarded: whether there is a gate against kinds of examples without a label.
        floor: labels with a lower confidence are not accepted, because held-out labels with such confidences
            were wrong more often than they say; 0 if they were not, infinite if no confidence is supported.
        drawn: how many labelled examples were drawn at random, if others were chosen; else None.
        other_population: the p-value that shows that the examples to label are of another population than
            the labelled ones; None if nothing shows it. What held-out labels say is then not about them.
    """

    labels: int
    right: int
    commonest: int
    commonest_count: int
    p_value: float
    counts: tuple[int, ...]
    guarded: bool
    floor: float
    drawn: int | None = None
    other_population: float | None = None

    @property
    def better_than_one_class(self) -> bool:
        """Whether held-out labels are better than the most frequent class for all, with 95 % confidence."""
        return self.p_value <= LEVEL

    @property
    def unjudged(self) -> tuple[int, ...]:
        """Classes with a single label: it is always wrong when held out, so nothing is known about them."""
        return tuple(number for number, count in enumerate(self.counts) if count < 2)

    @property
    def nothing(self) -> bool:
        """Whether no label at all may be accepted."""
        supported = self.better_than_one_class and self.guarded and np.isfinite(self.floor)
        return not supported or self.other_population is not None

    def refused(self) -> np.ndarray:
        """Returns (k,) bool: the classes whose labels may not be accepted."""
        refused = np.full(len(self.counts), self.nothing)
        refused[list(self.unjudged)] = True
        return refused

    def lowest(self, min_confidence: float) -> float:
        """Returns the confidence from which labels are accepted, if any are."""
        return max(min_confidence, self.floor)

    def sentences(self, classes: Sequence[str]) -> list[str]:
        """Returns in words what held-out labels do not support; empty if they support everything.

        Args:
            classes: k names.
        """
        said = []
        if self.nothing:
            said.append(f"nothing is accepted, because {self._why(classes)}")
        elif self.floor > 0.0:
            said.append(
                f"only labels with a confidence of at least {self.floor:.3f} are accepted, because less sure "
                "ones were wrong more often than they say when they were held out"
            )
        if self.unjudged and not self.nothing:
            names = ", ".join(classes[number] for number in self.unjudged)
            said.append(f"nothing is accepted of {names}: one label cannot be judged")
        return said

    def _why(self, classes: Sequence[str]) -> str:
        if not self.labels:
            return (
                "no label is a person's, so nothing is known of how often these labels are right; an audit "
                "tells it"
            )
        if not self.better_than_one_class:
            return (
                f"the labels are not shown to be better than one class for all: of the {self.labels:,} "
                f"labelled examples, each predicted without having been seen, {self.right:,} are right, and "
                f"always {classes[self.commonest]!r} is right for {self.commonest_count:,}"
            )
        if not self.guarded:
            return (
                "nothing guards against kinds that have no label: that takes 10 labels in classes with more "
                "than one"
            )
        if self.drawn == 0:
            return (
                "no labelled example was drawn at random, so nothing is known of how often labels are right"
            )
        if not np.isfinite(self.floor):
            return "even the surest labels were wrong more often than they say when they were held out"
        return (
            f"what is to be labelled is unlike the labelled examples (p = {self.other_population:.3g}), so "
            "their accuracy is not its accuracy; an audit tells it"
        )

    def advice(self, classes: Sequence[str]) -> str:
        """Says which further labels would help most.

        Args:
            classes: k names.
        """
        if not self.labels:
            return (
                "label some of every class; they also tell what descriptions, and from 50 on rules, are worth"
            )
        if self.other_population is not None:
            return "label some of these examples themselves, or let `tfautolabel audit` draw some to look at"
        fewest = sorted(range(len(self.counts)), key=lambda number: self.counts[number])[:3]
        if self.counts[fewest[0]] == max(self.counts):
            return f"label more of every class; each has {self.counts[fewest[0]]:,}"
        rarest = [number for number in fewest if self.counts[number] < max(self.counts)]
        named = ", ".join(f"{classes[number]} ({self.counts[number]:,})" for number in rarest)
        return f"label more, first of the classes with the fewest labels: {named}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the attributes as plain values, ready for JSON; None for an infinite floor."""
        floor = self.floor if np.isfinite(self.floor) else None
        return asdict(self) | {"counts": list(self.counts), "floor": floor}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Earned:
        """Restores what `to_dict` returned."""
        floor = np.inf if entries["floor"] is None else entries["floor"]
        return cls(**(entries | {"counts": tuple(entries["counts"]), "floor": floor}))


def judge(
    out_of_fold: np.ndarray,
    truth: np.ndarray,
    refused: np.ndarray,
    min_confidence: float,
    *,
    guarded: bool = True,
    drawn: np.ndarray | None = None,
) -> Earned:
    """Judges by held-out labels what a labeler may accept.

    Args:
        out_of_fold: (n, k) float32, probabilities of labelled examples from labelers that have not seen them.
        truth: (n,) int64 in [0, k), their classes.
        refused: (n,) bool, which of the examples a gate refuses.
        min_confidence: in [0, 1], the confidence from which labels would be accepted.
        guarded: whether there is a gate.
        drawn: (n,) bool, which examples were drawn at random from those to label, if the others were chosen;
            only these tell how often labels are right. By default, all.
    """
    counts = np.bincount(truth, minlength=out_of_fold.shape[1])
    commonest = int(counts.argmax())
    predicted = out_of_fold.argmax(axis=1)
    right, constant = predicted == truth, truth == commonest
    gained, lost = int((right & ~constant).sum()), int((~right & constant).sum())
    # A class's only label is always wrong when held out; labels predicted as that class are barred anyway.
    counted = ~refused & (counts[truth] > 1) & (counts[predicted] > 1)
    if drawn is not None:
        counted &= drawn
    return Earned(
        labels=len(truth),
        right=int(right.sum()),
        commonest=commonest,
        commonest_count=int(counts[commonest]),
        p_value=float(binom.sf(gained - 1, gained + lost, 0.5)),
        counts=tuple(counts.tolist()),
        guarded=guarded,
        floor=np.inf
        if drawn is not None and not drawn.any()
        else _floor(out_of_fold.max(axis=1)[counted], right[counted], min_confidence),
        drawn=None if drawn is None else int(drawn.sum()),
    )


def _floor(confidence: np.ndarray, right: np.ndarray, min_confidence: float) -> float:
    """Returns the lowest confidence from which errors are, up to chance, as rare as promised.

    If the confidences are true, the number of errors is a sum of rare events; the Poisson tail is heavier
    than the tail of this sum.
    """
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    errors, expected = np.cumsum(~right), np.cumsum(1.0 - confidence.astype(np.float64))
    # Labels with equal confidence are accepted together: only the last of them closes a group.
    closes = np.append(confidence[1:] < confidence[:-1], True)[: len(confidence)]
    sure = confidence >= np.float32(min_confidence)
    fine = poisson.sf(errors - 1, expected) > OVERCONFIDENT
    groups = np.flatnonzero(closes & sure)
    if len(groups) == 0 or fine[groups[-1]]:
        return 0.0
    good = groups[fine[groups]]
    return float(confidence[good[-1]]) if len(good) else float("inf")
