"""The report of an evaluation on labels that the model has not learnt from."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.labels import Labels
from tfautolabel.measures import Evaluation, ProbabilityEvaluation
from tfautolabel.report.galleries import LISTED, Gallery, Item
from tfautolabel.report.media import Medium, read_media
from tfautolabel.report.page import write_page
from tfautolabel.report.plots import halves, reliability_plot, risk_coverage_plot
from tfautolabel.report.tables import class_rows, matrix, measure_rows


def write_evaluation_report(
    path: str | os.PathLike[str],
    evaluation: Evaluation,
    probabilities: ProbabilityEvaluation | None = None,
    *,
    labels: Labels | None = None,
    class_ids: np.ndarray | None = None,
    dataset: Dataset | None = None,
    model: str = "",
    min_confidence: float | None = None,
    learnt: int | None = None,
) -> Path:
    """Writes one self-contained HTML file with measures, errors by class, and the worst mistakes.

    Args:
        path: the file; missing folders are made.
        evaluation: the predictions compared with the truth.
        probabilities: the confidences compared with the truth, for measures with intervals and two figures.
        labels: n labels of the model, to show the wrong ones with the highest confidence.
        class_ids: (n,) int64, the truth for `labels`.
        dataset: the data set that holds the examples of `labels`, to show them.
        model: the name of the evaluated model, for the heading.
        learnt: how many more examples were left out because they were learnt from; None if that is unknown.
        min_confidence: in [0, 1], the threshold to show on the risk-coverage curve; needs `labels`.

    Returns:
        The path of the file.

    Raises:
        ValueError: If `labels` are given without an equal number of `class_ids`.
        OSError: If the file cannot be written.
    """
    if labels is not None and (class_ids is None or len(class_ids) != len(labels)):
        received = "none" if class_ids is None else len(class_ids)
        raise ValueError(f"the truth is needed for each of {len(labels)} labels. Received: {received}")
    worst = Gallery("")
    media: dict[str, Medium] = {}
    chosen = None
    if labels is not None and class_ids is not None:
        worst = _worst(labels, class_ids)
        if dataset is not None:
            media = read_media(dataset, [item.id for item in worst.items])
        accepted = labels.confidence >= np.float32(2.0 if min_confidence is None else min_confidence)
        if accepted.any():
            right = labels.probabilities.argmax(axis=1) == class_ids
            chosen = (float(accepted.mean()), float(1 - right[accepted].mean()))
    plots = {}
    if probabilities is not None:
        plots = {
            "reliability": reliability_plot(probabilities.reliability),
            "risk_coverage": risk_coverage_plot(_thinned(probabilities.risk_coverage), chosen, None),
            "table": probabilities.reliability.tolist(),
            "chosen": chosen,
            "halves": halves(probabilities.risk_coverage),
        }
    return write_page(
        "evaluation.html",
        path,
        title=f"Evaluation of {model}" if model else "Evaluation",
        evaluation=evaluation,
        classes=class_rows({name: {} for name in evaluation.classes}, evaluation),
        matrix=matrix(evaluation),
        measures=measure_rows(None if probabilities is None else probabilities.to_dict()["measures"]),
        plots=plots,
        worst=worst,
        learnt=learnt,
        media=media,
        modality="image" if dataset is None else dataset.modality,
    )


def _worst(labels: Labels, class_ids: np.ndarray) -> Gallery:
    """Returns the wrong labels, the highest confidence first."""
    predicted = labels.probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != class_ids)
    in_order = wrong[np.argsort(-labels.confidence[wrong], kind="stable")]
    items = [
        Item(
            str(labels.ids[row]),
            labels.classes[predicted[row]],
            float(labels.confidence[row]),
            f"true: {labels.classes[class_ids[row]]}",
        )
        for row in in_order[:LISTED].tolist()
    ]
    return Gallery("Worst mistakes", items, len(wrong))


def _thinned(curve: np.ndarray, points: int = 500) -> np.ndarray:
    """Returns a curve with fewer points, enough for the eye, because each point is text in the page."""
    kept = np.unique(np.linspace(0, len(curve) - 1, min(points, len(curve))).round().astype(int))
    return np.asarray(curve[kept])
