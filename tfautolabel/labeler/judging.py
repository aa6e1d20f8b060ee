"""What the labelled examples say about a fitted head, and about which classes they say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.data.folds import twin_numbers
from tfautolabel.labeler.trained import Trained
from tfautolabel.measures import accuracy_interval
from tfautolabel.trust import Calibration, OodGate, fit_calibration, fit_ood_gate
from tfautolabel.trust.earned import Earned, judge
from tfautolabel.trust.ood import enough_to_judge

REFUSED = 0.02
"""The share of examples like the labelled ones that the gate may refuse. Without a pool and with fewer than
49 labels, it refuses examples that are more unlike than every held-out labelled example."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The labelled examples, each judged by a model that has not seen it.

    Attributes:
        probabilities: (n, k) float32, calibrated.
        class_ids: (n,) int64, the truth.
        refused: (n,) bool, which examples the gate refuses.
        folds: how many such models there were.
        drawn: (n,) bool, which examples were drawn at random from the examples to label, if that is known;
            only these say anything about the others. None if all of them count.
    """

    probabilities: np.ndarray
    class_ids: np.ndarray
    refused: np.ndarray
    folds: int
    drawn: np.ndarray | None = None

    @property
    def judging(self) -> HeldOut:
        """The examples that say something about the others."""
        if self.drawn is None:
            return self
        rows = self.drawn
        return HeldOut(self.probabilities[rows], self.class_ids[rows], self.refused[rows], self.folds)

    def in_order(self, rows: np.ndarray) -> HeldOut:
        """Returns the same examples in another order, (n,) int64."""
        drawn = None if self.drawn is None else self.drawn[rows]
        return HeldOut(self.probabilities[rows], self.class_ids[rows], self.refused[rows], self.folds, drawn)

    def earns(self, min_confidence: float, *, guarded: bool) -> Earned:
        """Returns what the examples support; see `tfautolabel.trust.earned.judge`."""
        return judge(
            self.probabilities,
            self.class_ids,
            self.refused,
            min_confidence,
            guarded=guarded,
            drawn=self.drawn,
        )


def can_be_judged(class_ids: np.ndarray, n_classes: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Returns (n,) bool: which examples are not the only one of their class, apart from their copies.

    A class's only example is always wrong when it is held out, because no other example shows what the class
    looks like. This says nothing about the head that has seen it, so it must not influence any choice.

    Args:
        class_ids: (n,) int64 in [0, k).
        n_classes: k.
        groups: (n,) int64, equal for copies of one example; by default there are no copies.
    """
    groups = np.arange(len(class_ids)) if groups is None or len(np.unique(groups)) == 1 else groups
    of_classes = np.unique(np.stack([class_ids, groups], axis=1), axis=0)[:, 0]
    judged: np.ndarray = np.bincount(of_classes, minlength=n_classes)[class_ids] > 1
    return judged


def cross_validation_of(held_out: HeldOut, classes: Sequence[str]) -> dict[str, Any]:
    """Returns a cross-validation for a record, ready for JSON.

    Args:
        held_out: the labelled examples.
        classes: k names.

    Returns:
        The accuracy, in which the only example of a class counts as a mistake; its 95 % interval; the number
        of examples and folds; under "one_label" the classes that cannot be judged; and whether the examples
        are only those that were drawn at random. Without an example, there is no accuracy: it is 0, with the
        interval from 0 to 1.
    """
    seen = held_out.judging
    n, correct = len(seen.class_ids), int((seen.probabilities.argmax(axis=1) == seen.class_ids).sum())
    single = np.flatnonzero(np.bincount(held_out.class_ids, minlength=len(classes)) == 1)
    return {
        "accuracy": correct / max(n, 1),
        "accuracy_interval_95": list(accuracy_interval(correct, n)) if n else [0.0, 1.0],
        "examples": n,
        "folds": held_out.folds,
        "one_label": [classes[number] for number in single.tolist()],
        "drawn": held_out.drawn is not None,
    }


def judge_fit(
    trained: Trained,
    class_ids: np.ndarray,
    background: np.ndarray | None,
    weights: dict[int, float] | None,
    min_confidence: float,
    seed: int,
    drawn: np.ndarray | None = None,
) -> tuple[Calibration, OodGate | None, Earned, HeldOut]:
    """Calibrates a head, learns what the labelled examples look like, and finds what may be accepted.

    Args:
        trained: the head's training on n examples.
        class_ids: (n,) int64 in [0, k), the truth.
        background: (m, d) float32, features of some of the examples to label; None without a pool.
        weights: class id to weight; None for 1 each.
        min_confidence: in [0, 1], the confidence from which labels would be accepted.
        seed: determines the random choices in calibration and gate.
        drawn: (n,) bool, which examples were drawn at random; None if all of them count. Only these calibrate
            and judge.
    """
    per_example = np.array([1.0 if weights is None else weights[int(c)] for c in class_ids])
    judged = can_be_judged(class_ids, trained.out_of_fold.shape[1], twin_numbers(trained.features))
    if drawn is not None:
        judged &= drawn
        per_example[:] = 1.0  # a random sample has the classes' shares
    calibration = Calibration.identity(trained.out_of_fold.shape[1])
    if judged.any() or drawn is None:
        calibration = fit_calibration(
            trained.out_of_fold[judged],
            class_ids[judged],
            trained.calibrate_by,
            sample_weight=per_example[judged],
            seed=seed,
        )
    gate, refused = None, np.zeros(len(class_ids), bool)
    if enough_to_judge(class_ids):
        gate = fit_ood_gate(trained.features, class_ids, background, refused=REFUSED, seed=seed)
        refused = gate.refuses(trained.features)
    held_out = HeldOut(calibration.apply(trained.out_of_fold), class_ids, refused, trained.folds, drawn)
    return calibration, gate, held_out.earns(min_confidence, guarded=gate is not None), held_out
