"""Measures predictions against known labels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tfautolabel.labels import Unreadable
from tfautolabel.measures.intervals import accuracy_interval


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions measured against the truth.

    Attributes:
        classes: k class names.
        count: n, how many examples were evaluated.
        accuracy: share of right predictions, in [0, 1].
        accuracy_interval: its exact 95 % interval.
        balanced_accuracy: mean of the recalls of the classes that occur.
        precision: (k,) the share of right predictions among the predictions of each class; 0 if there are
            none.
        recall: (k,) the share of right predictions among the examples of each class; 0 if there are none.
        f1: (k,) harmonic mean of precision and recall.
        support: (k,) int64, how many examples of each class there are.
        confusion: (k, k) int64, one row for each true class, one column for each predicted class.
        learnt_from: how many of the examples the model has learnt from, if known. If there are any, these
            measures do not say how good the model is on other examples.
    """

    classes: tuple[str, ...]
    count: int
    accuracy: float
    accuracy_interval: tuple[float, float]
    balanced_accuracy: float
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray
    learnt_from: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the measures as plain numbers, lists and dictionaries, ready for JSON.

        For examples that the model has learnt from, it only says how many agree: that is not an accuracy.
        """
        if self.learnt_from:
            return {"count": self.count, "agreement": self.accuracy, "learnt_from": self.learnt_from}
        columns = zip(self.classes, self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            "count": self.count,
            "accuracy": self.accuracy,
            "accuracy_interval_95": list(self.accuracy_interval),
            "balanced_accuracy": self.balanced_accuracy,
            "classes": {
                name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(s)}
                for name, p, r, f, s in columns
            },
            "confusion_matrix": {
                "classes": list(self.classes),
                "rows_true_columns_predicted": self.confusion.tolist(),
            },
        }


def evaluate_predictions(
    class_ids: np.ndarray, predicted_ids: np.ndarray, classes: Sequence[str], *, learnt_from: int = 0
) -> Evaluation:
    """Compares predictions with the truth.

    Args:
        class_ids: (n,) int64 in [0, k), n at least 1: the truth.
        predicted_ids: (n,) int64 in [0, k).
        classes: k names.
        learnt_from: how many of the examples the model has learnt from.

    Returns:
        The measures.

    Raises:
        ValueError: If there is nothing to evaluate or the lengths differ.

    Examples:
        >>> evaluation = evaluate_predictions(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), ["cat", "dog"])
        >>> evaluation.accuracy, evaluation.recall.tolist(), evaluation.confusion.tolist()
        (0.75, [1.0, 0.5], [[2, 0], [1, 1]])
    """
    if len(class_ids) != len(predicted_ids):
        raise ValueError(
            f"there must be one prediction for each example. Received: {len(class_ids)} examples, "
            f"{len(predicted_ids)} predictions"
        )
    if len(class_ids) == 0:
        raise ValueError("there must be a labelled example that can be read. Received: none")
    numbers = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        class_ids, predicted_ids, labels=numbers, zero_division=0
    )
    correct = int(np.count_nonzero(class_ids == predicted_ids))
    return Evaluation(
        classes=tuple(classes),
        count=len(class_ids),
        accuracy=correct / len(class_ids),
        accuracy_interval=accuracy_interval(correct, len(class_ids)),
        balanced_accuracy=float(recall[support > 0].mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support.astype(np.int64),
        confusion=confusion_matrix(class_ids, predicted_ids, labels=numbers),
        learnt_from=learnt_from,
    )


def warn_of_left_out(count: int, unreadable: Sequence[Unreadable]) -> None:
    """Warns that some labelled examples could not be read, so the measures do not cover all examples.

    Args:
        count: how many labelled examples there are.
        unreadable: the labelled examples that could not be read.
    """
    if unreadable:
        warnings.warn(
            f"{len(unreadable):,} of {count:,} labelled examples could not be read and are left out; the "
            f"first is {unreadable[0].id}: {unreadable[0].reason}",
            stacklevel=3,
        )
