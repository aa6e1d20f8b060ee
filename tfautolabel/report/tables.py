"""Makes the rows of the tables in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfautolabel.measures import Evaluation
from tfautolabel.report.plots import SHOWN_CLASSES

CONFUSIONS = 20
ROWS = 100
"""The most rows in a table of classes."""

MEASURES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "kappa": "Cohen's kappa",
    "roc_auc": "area under the ROC curve",
    "average_precision": "average precision",
    "log_loss": "log loss, nats (lower is better)",
    "brier": "Brier score, 0 to 2 (lower is better)",
    "calibration_error": "calibration error (lower is better)",
    "risk_coverage_area": "area under the risk-coverage curve (lower is better)",
}
"""The measures in words, in the order in which they are shown."""


def matrix(evaluation: Evaluation | None) -> dict[str, Any] | None:
    """Returns a confusion matrix, or its largest errors if there are many classes.

    Returns:
        None without an evaluation; else `classes`, `rows` of (name, cells), and `confusions` of (true,
        predicted, count, share of the true class). A cell holds the count, the share of the row, and whether
        it is right.
    """
    if evaluation is None:
        return None
    counts, names = evaluation.confusion, evaluation.classes
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    wrong = counts * (1 - np.eye(len(names), dtype=np.int64))
    true_ids, predicted_ids = np.nonzero(wrong)
    order = np.argsort(-wrong[true_ids, predicted_ids], kind="stable")[:CONFUSIONS]
    confusions = [
        (names[true], names[predicted], int(counts[true, predicted]), float(shares[true, predicted]))
        for true, predicted in zip(true_ids[order], predicted_ids[order], strict=True)
    ]
    rows = [
        (
            name,
            [
                (int(counts[true, predicted]), float(shares[true, predicted]), true == predicted)
                for predicted in range(len(names))
            ],
        )
        for true, name in enumerate(names[:SHOWN_CLASSES])
    ]
    small = len(names) <= SHOWN_CLASSES
    return {"classes": names, "rows": rows if small else None, "confusions": confusions}


def class_rows(
    counts: dict[str, dict[str, int]], evaluation: Evaluation | None
) -> list[tuple[str, dict[str, int], float | None, float | None, float | None, int]]:
    """Returns rows of name, counts, precision, recall, F1 and support; only the commonest of many classes."""
    rows = []
    for class_id, (name, count) in enumerate(counts.items()):
        measured: tuple[float | None, ...] = (None, None, None)
        support = 0
        if evaluation is not None:
            support = int(evaluation.support[class_id])
            predicted = evaluation.confusion[:, class_id].sum()
            measured = (
                float(evaluation.precision[class_id]) if predicted else None,
                float(evaluation.recall[class_id]) if support else None,
                float(evaluation.f1[class_id]) if predicted or support else None,
            )
        rows.append((name, count, measured[0], measured[1], measured[2], support))
    if len(rows) > ROWS:
        rows = sorted(rows, key=lambda row: -max(row[1].values(), default=0))[:ROWS]
    return rows


def measure_rows(measures: dict[str, Any] | None) -> list[tuple[str, float | None, Any, Any]]:
    """Returns rows of measure, value and interval from `ProbabilityEvaluation.to_dict()["measures"]`."""
    rows = []
    for name, words in MEASURES.items():
        one = (measures or {}).get(name)
        if one is not None and one.get("value") is not None:
            low, high = one.get("interval_95") or (None, None)
            rows.append((words, one["value"], low, high))
    return rows


def reason_counts(reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Counts how often each reason occurs, the commonest first."""
    return Counter(reasons).most_common()
