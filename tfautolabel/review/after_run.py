"""What a person may look at after a run or a check: the audit, unsure labels, and doubtful given labels."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.label_file import CHECKED
from tfautolabel.jobs.audit import AuditResult, certify_run, draw_audit_list
from tfautolabel.jobs.checked_files import RECORD, TABLE
from tfautolabel.measures import judge_labels
from tfautolabel.review.material import Material
from tfautolabel.review.questions import Question
from tfautolabel.runs.audit_list import read_audit_list, write_audit_list
from tfautolabel.runs.evidence import read_evidence
from tfautolabel.runs.files import AUDIT_LIST, EVIDENCE, PREDICTIONS_PARQUET
from tfautolabel.runs.ledger import Ledger
from tfautolabel.runs.predictions import read_predictions

UNSURE = 200
"""How many labels of a run are listed as unsure."""


def lists_of_run(out: Path, record: dict[str, Any], material: Material) -> dict[str, list[Question]]:
    """Returns the questions about a run, by purpose; a purpose without a question is left out.

    Args:
        out: a folder that `run` wrote; an audit's list is drawn there if it has none.
        record: the content of run.json.
        material: the examples.
    """
    classes = tuple(record["counts"]["classes"])
    found = {
        "unsure": _unsure(out, record, classes, material),
        "check": _doubtful(out, classes, material),
        audit_purpose(record): _audit(out, material),
    }
    return {purpose: questions for purpose, questions in found.items() if questions}


def lists_of_check(out: Path, material: Material) -> dict[str, list[Question]]:
    """Returns the questions about given labels that a check found doubtful, the worst first.

    Args:
        out: a folder that `check_labels` wrote; any other folder gives none.
        material: the examples.
    """
    if not ((out / RECORD).is_file() and (out / TABLE).is_file()):
        return {}
    with (out / TABLE).open(encoding="utf-8", newline="") as stream:
        rows = [(row["id"], row[CHECKED], row["likelier"]) for row in csv.DictReader(stream)]
    questions = _known(material, [row for row in rows if row[2]], "check")
    return {"check": questions} if questions else {}


def audit_purpose(record: dict[str, Any]) -> str:
    """Returns the purpose of an audit's answers: they count for the run that they were asked for only."""
    return f"audit:{record['id'][:16]}"


def _unsure(
    out: Path, record: dict[str, Any], classes: tuple[str, ...], material: Material
) -> list[Question]:
    """Returns first what rules disagree about, then the least sure labels."""
    table = read_predictions(out / PREDICTIONS_PARQUET, classes)
    rows = np.flatnonzero(~table.accepted)
    rows = rows[np.argsort(table.confidence[rows], kind="stable")][:UNSURE]
    divided = [one["id"] for one in (record.get("rules") or {}).get("conflicts", [])]
    names = list(dict.fromkeys([*divided, *table.names(rows)]))[:UNSURE]
    return _known(material, [(name, "", "") for name in names], "unsure")


def _doubtful(out: Path, classes: tuple[str, ...], material: Material) -> list[Question]:
    try:
        evidence = read_evidence(out / EVIDENCE)
    except (OSError, ValueError, KeyError):
        return []
    listed = []
    judged = judge_labels(evidence.labelled_class_ids, evidence.out_of_fold)
    for row in judged.to_check.tolist():
        given, likelier = classes[evidence.labelled_class_ids[row]], classes[judged.likelier[row]]
        listed.append((evidence.labelled_ids[row], given, likelier))
    return _known(material, listed, "check")


def _audit(out: Path, material: Material) -> list[Question]:
    if not (out / AUDIT_LIST).is_file():
        try:
            draw_audit_list(out)
        except ValueError:  # no label is sure enough to be looked at
            return []
    items = [(item.id, item.label, "") for item in read_audit_list(out / AUDIT_LIST) if not item.answer]
    return _known(material, items, "audit")


def _known(material: Material, listed: list[tuple[str, str, str]], strategy: str) -> list[Question]:
    return [
        Question(material.row_of[name], strategy, given, likelier)
        for name, given, likelier in listed
        if name in material.row_of
    ]


def certify_answers(out: Path, record: dict[str, Any], ledger: Ledger) -> AuditResult:
    """Writes the answers of an audit into its list, and certifies by them.

    The list must be answered in its order. Answers after the first example that nobody has answered wait. Who
    cannot tell, or finds none of the classes, says that the label is not right.

    Args:
        out: a folder that `run` wrote.
        record: the content of its run.json.
        ledger: the answers.

    Raises:
        ValueError: If nothing was answered, or an answer is not valid.
    """
    items, purpose = read_audit_list(out / AUDIT_LIST), audit_purpose(record)
    filled = []
    for item in items:
        verdict = ledger.verdict(item.id, purpose)
        if item.answer or verdict is None or verdict.kind == "skip":
            filled.append(item)
        else:
            answer = verdict.label if verdict.kind == "label" else "no"
            filled.append(type(item)(item.id, item.label, answer, item.others))
    first_open = next((at for at, item in enumerate(filled) if not item.answer), len(filled))
    write_audit_list([*filled[:first_open], *items[first_open:]], out / AUDIT_LIST)
    return certify_run(out)
