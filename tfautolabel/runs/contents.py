"""Reads what a run left in its folder, as far as it exists."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel._errors import named
from tfautolabel.labels import Unreadable
from tfautolabel.runs.audit_list import AuditItem, read_audit_list
from tfautolabel.runs.evidence import Evidence, read_evidence
from tfautolabel.runs.files import (
    AUDIT_LIST,
    EARLIER_UNREADABLE,
    EVIDENCE,
    PREDICTIONS_PARQUET,
    RECORD,
    UNREADABLE,
)
from tfautolabel.runs.predictions import LabelTable, read_shown
from tfautolabel.runs.record import read_record, settings_of
from tfautolabel.runs.settings import RunSettings
from tfautolabel.trust import Certificate
from tfautolabel.trust.earned import Earned


@dataclass(frozen=True, eq=False)
class RunRecord:
    """The contents of a run's folder.

    Attributes:
        out: the folder.
        record: the content of run.json.
        settings: the settings of the run.
        classes: k names.
        labels: the labels that may be shown, see `read_shown`; None if the table is missing.
        unreadable: what was set aside.
        evidence: predictions of the labelled examples, or None.
        certificate: the certificate that labels were accepted by, or None.
        estimate: the estimate from cross-validation for a target that nobody asked for, or None.
        earned: what the results on held-out labels allow to be accepted, or None.
        audit: the items of the audit list; empty if there is none.
        missing: sentences about files that should exist but are missing or cannot be read.
    """

    out: Path
    record: dict[str, Any]
    settings: RunSettings
    classes: tuple[str, ...]
    labels: LabelTable | None
    unreadable: tuple[Unreadable, ...]
    evidence: Evidence | None
    certificate: Certificate | None
    estimate: Certificate | None
    earned: Earned | None
    audit: tuple[AuditItem, ...]
    missing: tuple[str, ...]


def read_run(out: str | os.PathLike[str], staged: Path | None = None) -> RunRecord:
    """Reads a run's folder; only run.json must exist.

    Args:
        out: the folder.
        staged: the folder of files that will be moved there.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If run.json is damaged, has another format, or lacks entries of a run.
    """
    out = Path(out)

    def place(name: str) -> Path:
        return staged / name if staged is not None and (staged / name).exists() else out / name

    record = read_record(place(RECORD).parent)
    classes = tuple(record["counts"]["classes"])
    missing: list[str] = []
    labels = evidence = None
    try:
        conflicts = (record.get("rules") or {}).get("conflicts") or ()
        strangest = (record.get("shift") or {}).get("strangest") or ()
        named_ids = [*(one["id"] for one in conflicts), *strangest]
        labels = read_shown(place(PREDICTIONS_PARQUET), classes, named_ids)
    except (OSError, ValueError, KeyError) as error:
        missing.append(f"{PREDICTIONS_PARQUET} cannot be read: {named(error)}")
    if place(EVIDENCE).exists():
        try:
            evidence = read_evidence(place(EVIDENCE))
            if evidence.out_of_fold.shape[1] != len(classes):
                raise ValueError("it is of a run with other classes")
        except (OSError, ValueError) as error:
            evidence = None
            missing.append(f"{EVIDENCE} cannot be used: {named(error)}")
    statements: dict[str, Certificate | None] = {"certificate": None, "estimate": None}
    for name in statements:
        if record.get(name):
            try:
                statements[name] = Certificate.from_dict(record[name])
            except (KeyError, TypeError) as error:
                missing.append(f"the {name} in run.json cannot be read: {named(error)}")
    earned = None
    if record.get("earned"):
        try:
            earned = Earned.from_dict(record["earned"])
        except (KeyError, TypeError) as error:
            missing.append(f"what was earned, in run.json, cannot be read: {named(error)}")
    audit: list[AuditItem] = []
    if AUDIT_LIST in record["files"] and place(AUDIT_LIST).is_file():
        try:
            audit = read_audit_list(place(AUDIT_LIST))
        except (OSError, ValueError) as error:
            missing.append(f"{AUDIT_LIST} cannot be read: {named(error)}")
    aside = EARLIER_UNREADABLE if EARLIER_UNREADABLE in record["files"] else UNREADABLE
    unreadable = tuple(Unreadable(row[0], row[1]) for row in _rows(place(aside))[1:] if len(row) > 1)
    return RunRecord(
        out,
        record,
        settings_of(record),
        classes,
        labels,
        unreadable,
        evidence,
        earned=earned,
        audit=tuple(audit),
        missing=tuple(missing),
        **statements,
    )


def _rows(file: Path) -> list[list[str]]:
    if not file.is_file():
        return []
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return [row for row in csv.reader(stream) if row]
