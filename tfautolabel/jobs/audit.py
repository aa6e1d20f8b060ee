"""An audit of a run's labels: a list to look at, and what its answers certify."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data import LabelsWriter
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import COLUMNS, ROWS_AT_ONCE, Columns, as_utf8
from tfautolabel.jobs.candidates import (
    AUDIT_LIST,
    RESERVE,
    Candidates,
    ambiguous,
    items_needed,
    read_answers,
    read_candidates,
    write_audit_list,
)
from tfautolabel.jobs.inputs import Place
from tfautolabel.labels import FOUND_WRONG
from tfautolabel.trust import Certificate, certify_audited
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.binomial import check_levels

LABEL_FILES = ("labels.csv", "labels.parquet")
TARGET_ERROR = 0.05
"""What is asked for where neither the run nor the caller says."""


@dataclass(frozen=True)
class AuditResult:
    """What an audit came to.

    Attributes:
        list_file: the list that was read.
        answered: items that were looked at.
        wrong: labels among them that were wrong.
        certificate: what the answers certify so far.
        more: how many more answers are likely needed; 0 where it is certified, None where no number would do.
    """

    list_file: Path
    answered: int
    wrong: int
    certificate: Certificate
    more: int | None


def draw_audit_list(
    out: Place,
    *,
    n: int | None = None,
    target_error: float | None = None,
    confidence: float | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Path, int]:
    """Draws labels of a run that are to be looked at into out/audit.csv, or more of them.

    Args:
        out: a folder that `run` wrote.
        n: how many items in all; by default as many as an audit without an error needs, and a tenth more.
        target_error: in (0, 1); by default the run's.
        confidence: in (0, 1); by default the run's.
        seed: decides the order; by default the run's, with which a longer list begins with the shorter one.
        say: told what became of an earlier list.

    Returns:
        The list, and how many items are in it.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If a number is not valid, or nothing is sure enough to be looked at.
    """
    out = Path(out)
    candidates, record = read_candidates(out), _read_record(out)
    target_error, confidence = _levels(record, target_error, confidence)
    if n is not None and n < 1:
        raise ValueError(f"an audit looks at one item at least. Received: n={n}")
    if not len(candidates.scores):
        raise ValueError(
            f"there must be a label that is sure enough to be looked at. Received: none in {out}"
        )
    seed = record["audit"]["seed"] if seed is None else seed
    wanted = n or round(RESERVE * items_needed(candidates, target_error, confidence))
    listed = write_audit_list(out, candidates, wanted, seed, say)
    record["audit"] |= {"seed": seed, "listed": listed}
    _write_record(out, record)
    words = ambiguous(tuple(record["counts"]["classes"]))
    if words:
        say(f"{', '.join(words)} are names of classes here: as answers they are taken for the right label")
    return out / AUDIT_LIST, listed


def certify_run(
    out: Place,
    audited: Place | None = None,
    *,
    target_error: float | None = None,
    confidence: float | None = None,
) -> AuditResult:
    """Reads the answers of an audit and applies what they certify to the run's labels and model.

    Items that were looked at become labels of a person: right ones and those with the right label are
    accepted, those that are only known to be wrong are not. Where the target is certified, labels are
    accepted from the certified threshold on, in the tables, run.json and the exported model. Where so many
    are wrong that no number of answers would do, none are. Until then the others stay as the run decided.

    Args:
        out: a folder that `run` wrote.
        audited: the list with the answers; out/audit.csv by default.
        target_error: in (0, 1); by default the run's.
        confidence: in (0, 1); by default the run's.

    Returns:
        What was certified, or how many more answers are likely needed.

    Raises:
        FileNotFoundError: If the run, the list or the model is not there.
        ValueError: If the answers are not valid, with the row.
        CheckFailure: If the model cannot take the thresholds.
    """
    out = Path(out)
    file = out / AUDIT_LIST if audited is None else Path(audited)
    candidates, record = read_candidates(out), _read_record(out)
    target_error, confidence = _levels(record, target_error, confidence)
    classes = tuple(record["counts"]["classes"])
    order, answers = read_answers(file, candidates, record["audit"]["seed"], classes)
    right = np.array([answers[i] == candidates.labels[place] for i, place in enumerate(order)], bool)
    certificate = certify_audited(
        candidates.scores, right, order, target_error=target_error, confidence=confidence
    )
    rule = Acceptance.from_dict(record["acceptance"])
    refuted = certificate.kind == "impossible" and certificate.needed_labels is None
    decided = certificate.kind == "certified" or refuted
    if decided:
        rule = rule.audited(certificate)
    changes = _Changes(candidates, dict(zip(order.tolist(), answers, strict=True)), rule, classes)
    counts = _rewrite_labels(out, changes)
    certificate = replace(
        certificate,
        pool_accepted=counts["accepted"],
        pool_size=counts["total"],
        coverage=counts["accepted"] / max(counts["total"], 1),
    )
    if decided:
        # Only now, because importing TensorFlow takes seconds: a mistake in the list is told at once.
        from tfautolabel.export import rewrite_acceptance

        rewrite_acceptance(out / "model" / "1", rule, {"certificate": certificate.to_dict()})
        record["certificate"] = certificate.to_dict()
    more = 0 if certificate.kind == "certified" else None
    if certificate.needed_labels is not None:
        more = max(certificate.needed_labels - len(answers), 1)
    record["counts"] |= {"accepted": counts["accepted"], "reasons": counts["reasons"]}
    for name, accepted in counts["classes"].items():
        record["counts"]["classes"][name]["accepted"] = accepted
    record["audit"] |= {
        "answered": len(answers),
        "wrong": int((~right).sum()),
        "more": more,
        "acceptance": rule.to_dict(),
    }
    _write_record(out, record)
    return AuditResult(file, len(answers), int((~right).sum()), certificate, more)


class _Changes:
    """What becomes of each candidate's row."""

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
        """The columns of a candidate that an audit may change."""
        label, reason, origin = self.candidates.labels[place], str(self.reasons[place]), "model"
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


def _rewrite_labels(out: Path, changes: _Changes) -> dict[str, Any]:
    """Writes both tables again, part by part, and counts what is in them."""
    reasons: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    total = 0
    with ExitStack() as stack:
        writers = [stack.enter_context(LabelsWriter(out / name)) for name in LABEL_FILES]
        for columns in _changed_parts(out / "labels.parquet", changes):
            for writer in writers:
                writer.write_columns(columns)
            named = dict(zip(COLUMNS, columns, strict=True))
            total += len(named["id"])
            reasons.update(reason for reason in named["reason"] if reason)
            accepted.update(
                name for name, good in zip(named["label"], named["accepted"], strict=True) if good
            )
    return {
        "total": total,
        "accepted": sum(accepted.values()),
        "reasons": dict(sorted(reasons.items())),
        "classes": {name: accepted[name] for name in sorted({*accepted, *changes.candidates.labels})},
    }


def _changed_parts(file: Path, changes: _Changes) -> Iterator[Columns]:
    import pyarrow.parquet as pq

    first, at, rows = 0, 0, changes.candidates.rows
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(ROWS_AT_ONCE, columns=list(COLUMNS)):
            columns = {name: batch.column(name).to_pylist() for name in COLUMNS}
            while at < len(rows) and rows[at] < first + len(batch):
                for name, value in changes.row(at).items():
                    columns[name][rows[at] - first] = value
                at += 1
            first += len(batch)
            yield tuple(columns[name] for name in COLUMNS)


def _levels(
    record: dict[str, Any], target_error: float | None, confidence: float | None
) -> tuple[float, float]:
    settings = record["settings"]
    target = target_error or settings.get("target_error") or TARGET_ERROR
    sure = confidence or settings.get("certify_confidence") or 0.95
    check_levels(target, sure)
    return target, sure


def _read_record(out: Path) -> dict[str, Any]:
    try:
        return json.loads((out / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"an audit needs a folder that `run` wrote. Received: {out}") from None


def _write_record(out: Path, record: dict[str, Any]) -> None:
    with atomic_write(out / "run.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
