"""What the labelled examples say of a head that was fitted, and of which classes they can say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.labeler.fitting import Trained
from tfautolabel.measures import accuracy_interval
from tfautolabel.trust import Calibration, OodGate, fit_calibration, fit_ood_gate
from tfautolabel.trust.earned import Earned, judge
from tfautolabel.trust.ood import enough_to_judge

REFUSED = 0.02
"""The share of examples like the labelled ones that the gate may refuse, from 49 labels on; with fewer it
refuses what is more unlike than each of them was when it was held out."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The labelled examples, each judged by a model that has not seen it.

    Attributes:
        probabilities: (n, k) float32, calibrated.
        class_ids: (n,) int64, the truth.
        refused: (n,) bool, which of them the gate refuses.
        folds: how many such models there were.
    """

    probabilities: np.ndarray
    class_ids: np.ndarray
    refused: np.ndarray
    folds: int

    def in_order(self, rows: np.ndarray) -> HeldOut:
        """The same examples in another order, (n,) int64."""
        return HeldOut(self.probabilities[rows], self.class_ids[rows], self.refused[rows], self.folds)

    def earns(self, min_confidence: float, *, guarded: bool) -> Earned:
        """What the examples bear out; see `tfautolabel.trust.earned.judge`."""
        return judge(self.probabilities, self.class_ids, self.refused, min_confidence, guarded=guarded)


def can_be_judged(class_ids: np.ndarray, n_classes: int) -> np.ndarray:
    """(n,) bool: which examples are not the only one of their class.

    The only one is wrong whenever it is held out, because nothing else shows what its class looks like. That
    says nothing of the head that has seen it, so nothing may be chosen by it.

    Args:
        class_ids: (n,) int64 in [0, k).
        n_classes: k.
    """
    judged: np.ndarray = np.bincount(class_ids, minlength=n_classes)[class_ids] > 1
    return judged


def cross_validation_of(
    out_of_fold: np.ndarray, class_ids: np.ndarray, classes: Sequence[str], n_folds: int
) -> dict[str, Any]:
    """What a record has of a cross-validation, ready for JSON.

    Args:
        out_of_fold: (n, k) float32, probabilities of each example from a head that has not seen it.
        class_ids: (n,) int64 in [0, k), the truth.
        classes: k names.
        n_folds: how many such heads there were.

    Returns:
        The accuracy, in which the only example of a class counts as the mistake that it is; its 95 %
        interval; the examples, the folds, and under "one_label" the classes that cannot be judged.
    """
    correct = int(np.count_nonzero(out_of_fold.argmax(axis=1) == class_ids))
    single = np.flatnonzero(np.bincount(class_ids, minlength=len(classes)) == 1)
    return {
        "accuracy": correct / len(class_ids),
        "accuracy_interval_95": list(accuracy_interval(correct, len(class_ids))),
        "examples": len(class_ids),
        "folds": n_folds,
        "one_label": [classes[number] for number in single.tolist()],
    }


def judge_fit(
    trained: Trained,
    class_ids: np.ndarray,
    background: np.ndarray | None,
    weights: dict[int, float] | None,
    min_confidence: float,
    seed: int,
) -> tuple[Calibration, OodGate | None, Earned, HeldOut]:
    """Calibrates a head, learns what the labelled examples look like, and finds out what may be accepted.

    Args:
        trained: the head's training on n examples.
        class_ids: (n,) int64 in [0, k), the truth.
        background: (m, d) float32, features of some of what is to be labelled; None without a pool.
        weights: class id to weight; None for 1 each.
        min_confidence: in [0, 1], from which labels would be accepted.
        seed: decides what is random in calibration and gate.
    """
    per_example = np.array([1.0 if weights is None else weights[int(c)] for c in class_ids])
    judged = can_be_judged(class_ids, trained.out_of_fold.shape[1])
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
    held_out = HeldOut(calibration.apply(trained.out_of_fold), class_ids, refused, trained.folds)
    return calibration, gate, held_out.earns(min_confidence, guarded=gate is not None), held_out
