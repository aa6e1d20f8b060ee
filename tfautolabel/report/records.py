"""What a run left in its folder, as far as it is there."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.evidence import EVIDENCE, Evidence, read_evidence
from tfautolabel.labels import Rejected
from tfautolabel.trust import Certificate

AUDIT = "audit.csv"
UNLIKE = "unlike_anything_labelled"
"""The reason in a table of labels for what the labelled examples do not cover."""

_COLUMNS = ("label", "confidence", "accepted", "reason", "ood_score")


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of a run; the names stay in Arrow's memory, since few of them are shown.

    Attributes:
        ids: an Arrow column of n names.
        class_ids: (n,) int64, the predicted class of each row.
        confidence: (n,) float32.
        accepted: (n,) bool.
        unlike: (n,) bool, which rows are unlike anything labelled.
        unlike_score: (n,) float32, higher is less like; zeros where the run did not say.
    """

    ids: Any
    class_ids: np.ndarray
    confidence: np.ndarray
    accepted: np.ndarray
    unlike: np.ndarray
    unlike_score: np.ndarray

    def __len__(self) -> int:
        return len(self.class_ids)

    def names(self, rows: np.ndarray) -> list[str]:
        """The names of some rows."""
        return self.ids.take(np.asarray(rows, np.int64)).to_pylist()


@dataclass(frozen=True, eq=False)
class RunRecord:
    """A run's folder.

    Attributes:
        out: the folder.
        record: the content of run.json.
        classes: k names.
        labels: the labels, or None if the table is gone.
        rejected: what was set aside.
        evidence: predictions of the labelled examples, or None.
        certificate: what labels were accepted by, or None.
        estimate: what cross-validation says of a target that nobody asked for, or None.
        audit: the rows of the audit list, its header first; empty if there is none.
        missing: sentences on what should be there and is not, or cannot be read.
    """

    out: Path
    record: dict[str, Any]
    classes: tuple[str, ...]
    labels: LabelTable | None
    rejected: tuple[Rejected, ...]
    evidence: Evidence | None
    certificate: Certificate | None
    estimate: Certificate | None
    audit: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]


def read_run(out: str | os.PathLike[str]) -> RunRecord:
    """Reads a run's folder; only run.json has to be there.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If run.json is not what a run writes.
    """
    out = Path(out)
    file = out / "run.json"
    if not file.is_file():
        raise FileNotFoundError(f"a folder of results holds run.json. Received: {out}, which has none")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        classes = tuple(record["counts"]["classes"])
        _ = [record[name] for name in ("versions", "inputs", "settings", "backbone", "cross_validation")]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"run.json must be what a run writes ({error!r}). Received: {file}") from error
    missing: list[str] = []
    labels = evidence = None
    try:
        labels = _read_labels(out / "labels.parquet", classes)
    except (OSError, ValueError, KeyError) as error:
        missing.append(f"labels.parquet cannot be read: {_first_line(error)}")
    if (out / EVIDENCE).exists():
        try:
            evidence = read_evidence(out / EVIDENCE)
            if evidence.out_of_fold.shape[1] != len(classes):
                raise ValueError("it is of a run with other classes")
        except (OSError, ValueError) as error:
            evidence = None
            missing.append(f"{EVIDENCE} cannot be used: {_first_line(error)}")
    statements: dict[str, Certificate | None] = {"certificate": None, "estimate": None}
    for name in statements:
        if record.get(name):
            try:
                statements[name] = Certificate.from_dict(record[name])
            except (KeyError, TypeError) as error:
                missing.append(f"the {name} in run.json cannot be read: {_first_line(error)}")
    rejected = tuple(Rejected(row[0], row[1]) for row in _rows(out / "rejected.csv")[1:] if len(row) > 1)
    audit = tuple(tuple(row) for row in _rows(out / AUDIT))
    return RunRecord(
        out, record, classes, labels, rejected, evidence, audit=audit, missing=tuple(missing), **statements
    )


def _read_labels(file: Path, classes: tuple[str, ...]) -> LabelTable:
    import pyarrow.parquet as pq

    there = [name for name in _COLUMNS if name in pq.read_schema(file).names]
    table = pq.read_table(file, columns=["id", *there])
    encoded = table["label"].combine_chunks().dictionary_encode()
    position = {name: class_id for class_id, name in enumerate(classes)}
    ids_of = np.array([position[name] for name in encoded.dictionary.to_pylist()] or [0], np.int64)
    n = table.num_rows
    unlike, scores = np.zeros(n, bool), np.zeros(n, np.float32)
    if "reason" in there:
        unlike = np.asarray(table["reason"].to_numpy() == UNLIKE, bool).reshape(n)
    if "ood_score" in there:
        scores = np.nan_to_num(table["ood_score"].to_numpy().astype(np.float32))
    return LabelTable(
        ids=table["id"].combine_chunks(),
        class_ids=ids_of[encoded.indices.to_numpy()],
        confidence=table["confidence"].to_numpy(),
        accepted=table["accepted"].to_numpy().astype(bool),
        unlike=unlike,
        unlike_score=scores,
    )


def unanswered(audit: tuple[tuple[str, ...], ...]) -> int:
    """How many rows of an audit list have no answer yet in their last column."""
    return sum(not row[len(audit[0]) - 1 :] or not row[len(audit[0]) - 1].strip() for row in audit[1:])


def _rows(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return [row for row in csv.reader(stream) if row]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
