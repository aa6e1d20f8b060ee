"""Writes the tables of a run again, with the labels that a person gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.writers import COLUMNS, as_utf8
from tfautolabel.labels import FOUND_WRONG
from tfautolabel.runs.candidates import Candidates
from tfautolabel.runs.commit import Staging
from tfautolabel.runs.predictions import prediction_parts, predictions_writers
from tfautolabel.trust.acceptance import Acceptance


class LabelChanges:
    """The changes to each candidate's row.

    Args:
        candidates: the labels that the audit was drawn from.
        answers: place among the candidates to the right label; None if it is only known to be wrong.
        rule: which of the other labels are accepted.
        classes: k names.
    """

    def __init__(
        self,
        candidates: Candidates,
        answers: dict[int, str | None],
        rule: Acceptance,
        classes: tuple[str, ...],
    ) -> None:
        position = {as_utf8(name): class_id for class_id, name in enumerate(classes)}
        predicted = np.array([position[name] for name in candidates.labels], np.int64)
        self.candidates, self.answers = candidates, answers
        self.reasons = rule.reasons(candidates.scores, predicted)

    def row(self, place: int) -> dict[str, Any]:
        """Returns the columns of a candidate that an audit may change."""
        label, reason = self.candidates.labels[place], str(self.reasons[place])
        origin = self.candidates.origins[place]
        confidence = float(self.candidates.scores[place])
        if place in self.answers:
            answer, origin, reason = self.answers[place], "human", ""
            if answer is None:
                reason = FOUND_WRONG
            elif answer != label:
                label, confidence = answer, 1.0
        return {
            "label": label,
            "confidence": confidence,
            "accepted": reason == "",
            "reason": reason,
            "origin": origin,
        }


def rewrite_labels(
    staged: Staging, metadata: dict[str, str], changes: LabelChanges, apply: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Writes both tables again, part by part, and counts their contents.

    Args:
        staged: the place to write; the tables are read from the run's folder.
        metadata: names and texts to store in the Parquet file.
        changes: what changes.
        apply: gets the counts before the tables get their names; if it fails, the old tables stay.

    Returns:
        "total" and "accepted" rows, accepted "classes", and "reasons" why rows are not accepted.
    """
    reasons: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    total = 0
    with predictions_writers(staged.folder, metadata) as writers:
        for named in _changed_parts(staged.out, changes):
            for writer in writers:
                writer.write_columns(tuple(named[name] for name in COLUMNS))
            total += len(named["id"])
            reasons.update(reason for reason in named["reason"] if reason)
            accepted.update(
                name for name, good in zip(named["label"], named["accepted"], strict=True) if good
            )
        counts = {
            "total": total,
            "accepted": sum(accepted.values()),
            "reasons": dict(sorted(reasons.items())),
            "classes": dict(accepted),
        }
        apply(counts)
    return counts


def _changed_parts(out: Path, changes: LabelChanges) -> Iterator[dict[str, list[Any]]]:
    first, at, rows = 0, 0, changes.candidates.rows
    for columns in prediction_parts(out):
        count = len(columns["id"])
        while at < len(rows) and rows[at] < first + count:
            place, changed = rows[at] - first, changes.row(at)
            for name, value in changed.items():
                columns[name][place] = value
            at += 1
        first += count
        yield columns
