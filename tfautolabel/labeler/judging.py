"""What cross-validation says of a head, and of which classes it can say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfautolabel.measures import accuracy_interval


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
