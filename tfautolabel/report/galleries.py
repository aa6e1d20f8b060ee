"""Chooses the examples that are worth a look, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tfautolabel.measures.label_quality import judge_labels
from tfautolabel.runs.evidence import Evidence
from tfautolabel.runs.predictions import LabelTable

PER_CLASS = 6
"""How many of the surest, and of the least sure, labels of a class are shown."""

CLASSES = 20
LISTED = 24


@dataclass(frozen=True)
class Item:
    """One example.

    Attributes:
        id: its name.
        label: the given or predicted label.
        confidence: in [0, 1], or None.
        note: a remark about it.
        labelled: whether it is one of the labelled examples.
    """

    id: str
    label: str
    confidence: float | None = None
    note: str = ""
    labelled: bool = False


@dataclass(frozen=True)
class Gallery:
    """Examples under one heading.

    Attributes:
        title: the heading.
        items: the examples.
        total: how many there are in total.
    """

    title: str
    items: list[Item] = field(default_factory=list)
    total: int = 0


def class_galleries(
    labels: LabelTable, classes: Sequence[str], per_class: int = PER_CLASS
) -> list[tuple[str, int, Gallery, Gallery]]:
    """Returns the surest and the least sure labels of each of the commonest `CLASSES` classes.

    Args:
        labels: those that may be shown of all labels.
        classes: k names.
        per_class: how many of each kind.

    Returns:
        Class, count and the two galleries; the commonest class comes first.
    """
    counts = labels.counts
    found = []
    for class_id in np.argsort(-counts, kind="stable")[:CLASSES]:
        rows = np.flatnonzero(labels.class_ids == class_id)
        if len(rows) == 0:
            continue
        by_confidence = rows[np.argsort(-labels.confidence[rows], kind="stable")]
        surest = by_confidence[:per_class]
        least = by_confidence[max(per_class, len(rows) - per_class) :][::-1]
        name = classes[class_id]
        found.append(
            (
                name,
                int(counts[class_id]),
                Gallery("Surest", _items(labels, surest, classes), int(counts[class_id])),
                Gallery("Least sure", _items(labels, least, classes), int(counts[class_id])),
            )
        )
    return found


def unlike_gallery(labels: LabelTable, classes: Sequence[str]) -> Gallery:
    """Shows examples that are unlike all labelled examples, the least similar first."""
    rows = np.flatnonzero(labels.unlike)
    in_order = rows[np.argsort(-labels.unlike_score[rows], kind="stable")]
    return Gallery(
        "Unlike anything labelled", _items(labels, in_order[:LISTED], classes), labels.unlike_count
    )


def strangest_gallery(ids: Sequence[str], labels: LabelTable, classes: Sequence[str]) -> Gallery:
    """Shows examples of a pool of another population that are told from the labelled ones most surely."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array(ids, pa.string()), value_set=labels.ids).to_pylist()
    rows = np.array([row for row in places if row is not None], np.int64)
    return Gallery("Least like the labelled examples", _items(labels, rows, classes), len(rows))


def suspect_gallery(evidence: Evidence, classes: Sequence[str]) -> Gallery:
    """Shows given labels that are probably wrong, as `tfautolabel check-labels` finds them."""
    rows = judge_labels(evidence.labelled_class_ids, evidence.out_of_fold).suspects
    predicted = evidence.out_of_fold.argmax(axis=1)
    items = [
        Item(
            evidence.labelled_ids[row],
            classes[predicted[row]],
            float(evidence.out_of_fold[row, predicted[row]]),
            f"given: {classes[evidence.labelled_class_ids[row]]}",
            labelled=True,
        )
        for row in rows[:LISTED].tolist()
    ]
    return Gallery("Labels given that may be wrong", items, len(rows))


def conflict_gallery(
    found: Sequence[Mapping[str, Any]], labels: LabelTable, classes: Sequence[str]
) -> Gallery:
    """Shows examples about which rules disagree.

    Args:
        found: what run.json says of them: id, and class to number of votes.
        labels: n labels.
        classes: k names.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array([one["id"] for one in found], pa.string()), value_set=labels.ids)
    items = []
    for one, row in zip(found, places.to_pylist(), strict=True):
        votes = ", ".join(f"{count} {name}" for name, count in one["votes"].items())
        if row is not None:
            label, confidence = classes[labels.class_ids[row]], float(labels.confidence[row])
            items.append(Item(one["id"], label, confidence, f"votes: {votes}"))
    return Gallery("Rules disagree", items[:LISTED], len(items))


def _items(labels: LabelTable, rows: np.ndarray, classes: Sequence[str]) -> list[Item]:
    return [
        Item(
            name,
            classes[labels.class_ids[row]],
            float(labels.confidence[row]),
            "" if labels.accepted[row] else "not accepted",
        )
        for name, row in zip(labels.names(rows), rows.tolist(), strict=True)
    ]
