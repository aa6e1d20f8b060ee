"""Measures an exported model on labelled examples, and whether its certificate held on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.learnt import learnt_rows, others_or_all
from tfautolabel.export import ExportedLabeler
from tfautolabel.labels import Labels
from tfautolabel.measures import (
    Evaluation,
    ProbabilityEvaluation,
    accuracy_interval,
    evaluate_predictions,
    evaluate_probabilities,
)
from tfautolabel.runs.learnt import learnt_by
from tfautolabel.trust import Certificate
from tfautolabel.trust.certificates import percent


@dataclass(frozen=True, eq=False)
class ModelMeasures:
    """The measures of a model on labelled examples.

    Attributes:
        evaluation: the labels compared with the truth.
        probabilities: the confidences compared with the truth.
        labels: the n labels of the model.
        class_ids: (n,) int64, the truth.
        certificate: the statement about the accepted labels, or None.
        learnt: how many of the examples were learnt from, and how many of those labels agree; None if this is
            unknown. These examples are left out of all other measures, unless there are no others; then
            `learnt_from` of the evaluation says so.
    """

    evaluation: Evaluation
    probabilities: ProbabilityEvaluation
    labels: Labels
    class_ids: np.ndarray
    certificate: Certificate | None
    learnt: tuple[int, int] | None = None

    @property
    def all_learnt(self) -> bool:
        """Whether there were no other examples, so that no accuracy was measured."""
        return self.evaluation.learnt_from > 0

    def of_learnt(self) -> str:
        """Describes the examples that were learnt from."""
        if self.learnt is None:
            return "cannot be told: the folder of the run that made the model is not around it"
        count, agree = self.learnt
        if not count:
            return "none of these examples"
        if not self.all_learnt:
            return f"{count:,} more examples, which are left out ({agree:,} of their labels agree)"
        return f"all {count:,} examples: {agree:,} labels agree, which is no accuracy; measure on others"

    @property
    def majority(self) -> float:
        """The accuracy of always answering with the commonest class."""
        return float(self.evaluation.support.max() / self.evaluation.count)

    @property
    def majority_name(self) -> str:
        """The name of that class for a sentence."""
        return f"always {self.evaluation.classes[int(self.evaluation.support.argmax())]}"

    @property
    def accepted(self) -> int:
        """The number of labels that the model accepts."""
        return int(self.labels.accepted.sum())

    @property
    def wrong(self) -> int:
        """The number of accepted labels that are wrong."""
        accepted = self.labels.accepted
        return int((self.labels.class_ids[accepted] != self.class_ids[accepted]).sum())

    @property
    def verdict(self) -> str | None:
        """Whether the certificate held here; None without a certificate or an accepted label.

        "held" if at most the target share is wrong; "refuted" if the 95 % interval of the share of wrong
        labels lies above the target; else "not refuted".
        """
        if self.certificate is None or not self.accepted:
            return None
        if self.wrong <= self.certificate.target_error * self.accepted:
            return "held"
        low = accuracy_interval(self.wrong, self.accepted)[0]
        return "refuted" if low > self.certificate.target_error else "not refuted"

    def said(self) -> list[str]:
        """Returns sentences about the accepted labels."""
        if not self.accepted:
            return []
        found = f"wrong              {self.wrong:,} of the accepted ones ({self.wrong / self.accepted:.1%})"
        if self.certificate is None:
            return [found]
        claimed = f"at most {percent(self.certificate.target_error)} were {self.certificate.kind}"
        return [found, f"certificate        {self.verdict} on these examples: {claimed}"]

    def to_dict(self) -> dict[str, Any]:
        """Returns all measures as plain values, ready for JSON."""
        learnt = {"learnt_from": None if self.learnt is None else self.learnt[0]}
        if self.all_learnt:
            return self.evaluation.to_dict() | learnt
        measured = self.probabilities.to_dict()
        accepted, wrong = self.accepted, self.wrong
        interval = list(accuracy_interval(wrong, accepted)) if accepted else None
        return (
            self.evaluation.to_dict()
            | learnt
            | {
                "probabilities": measured,
                "majority": {"name": self.majority_name, "accuracy": self.majority},
                "accepted": {
                    "count": accepted,
                    "wrong": wrong,
                    "error_interval_95": interval,
                    "target_error": None if self.certificate is None else self.certificate.target_error,
                    "certificate": None if self.certificate is None else self.certificate.kind,
                    "verdict": self.verdict,
                },
            }
        )


def measure_model(
    labeler: ExportedLabeler,
    dataset: Dataset,
    *,
    learnt: Learnt | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> ModelMeasures:
    """Measures an exported model.

    Examples without a label are left out, and unreadable ones are left out with a warning. Examples that the
    model has learnt from are left out too, unless there are no others.

    Args:
        labeler: the model.
        dataset: examples whose labels are among its classes.
        learnt: the contents that the model has learnt from; by default as the run's folder around it says.
        batch_size: examples in one call.
        progress: shows a progress bar where standard error is a terminal.

    Raises:
        ValueError: If a label is not one of the classes, or no labelled example can be read.
    """
    labels, class_ids = labeler.label_known(dataset, batch_size=batch_size, progress=progress)
    learnt = learnt_by(labeler.folder) if learnt is None else learnt
    among = learnt_rows(learnt, dataset, labels)
    agree = int(np.count_nonzero(labels.probabilities[among].argmax(axis=1) == class_ids[among]))
    kept = others_or_all(among)
    if not kept.all():
        labels, class_ids = _some(labels, kept), class_ids[kept]
    evaluation = evaluate_predictions(
        class_ids,
        labels.probabilities.argmax(axis=1),
        labeler.classes,
        learnt_from=int((among & kept).sum()),
    )
    probabilities = evaluate_probabilities(class_ids, labels.probabilities)
    known = None if learnt is None else (int(among.sum()), agree)
    return ModelMeasures(evaluation, probabilities, labels, class_ids, labeler.certificate, known)


def _some(labels: Labels, rows: np.ndarray) -> Labels:
    """Returns some rows of labels."""
    names = ("ids", "class_ids", "confidence", "probabilities", "origin", "reason", "ood_score")
    return replace(labels, **{name: getattr(labels, name)[rows] for name in names})
