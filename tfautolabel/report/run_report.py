"""Writes the report of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.measures import (
    Evaluation,
    evaluate_predictions,
    reliability_table,
    risk_coverage_curve,
)
from tfautolabel.measures.shift import Shift
from tfautolabel.report.galleries import (
    PER_CLASS,
    Gallery,
    class_galleries,
    conflict_gallery,
    strangest_gallery,
    suspect_gallery,
    unlike_gallery,
)
from tfautolabel.report.next_steps import next_steps, run_command
from tfautolabel.report.originals import Originals, find_originals
from tfautolabel.report.page import write_page
from tfautolabel.report.plots import (
    SHAPES,
    halves,
    map_plot,
    reliability_plot,
    risk_coverage_plot,
    shown_classes,
)
from tfautolabel.report.svg import COLOURS
from tfautolabel.report.tables import class_rows, matrix, measure_rows, reason_counts
from tfautolabel.report.transfer_verdict import transfer_verdict
from tfautolabel.runs.audit_list import COLUMNS
from tfautolabel.runs.commit import staging_of_run
from tfautolabel.runs.contents import RunRecord, read_run
from tfautolabel.runs.files import REPORT
from tfautolabel.runs.identity import check_whole
from tfautolabel.runs.outputs import check_ours
from tfautolabel.trust.acceptance import Acceptance

LISTED = 50
_NOTHING = Gallery("")


def write_report(out: str | os.PathLike[str], data: object = None) -> Path:
    """Writes report.html into a run's folder: one self-contained file that needs no network.

    Each part appears if its data exists: a folder with only run.json gives a short report. Examples are shown
    small and are read again from the place where the run found them. If they are missing, the report says so.

    Args:
        out: a folder that `run` wrote.
        data: the examples, if they are not where the run found them: a `Dataset`, or what `load_dataset`
            takes.

    Returns:
        The path of the file.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If run.json lacks entries of a run, or files of several runs are mixed.
        RuntimeError: If another process works on the folder.
        OSError: If the file cannot be written.
    """
    out = Path(out)
    with staging_of_run(out) as (_, record):
        check_whole(out, record)
        check_ours(out / REPORT)
        return render_report(out, data=data)


def render_report(
    out: Path, staged: Path | None = None, data: object = None, originals: Originals | None = None
) -> Path:
    """Writes the report of a run whose folder is locked; see `write_report`.

    Args:
        out: the run's folder.
        staged: the folder of files that will be moved to `out`, and of the report; files that are not there
            are read from `out`.
        data: as for `write_report`.
        originals: the data that the run has labelled, if it is at hand; found again by default.
    """
    run = read_run(out, staged)
    evaluation = _out_of_fold(run)
    suspicious = _NOTHING if run.evidence is None else suspect_gallery(run.evidence, run.classes)
    unlike = _NOTHING if run.labels is None else unlike_gallery(run.labels, run.classes)
    of_rules = run.record.get("rules") or {}
    disagreed, strangest = _NOTHING, _NOTHING
    if run.labels is not None and run.earned is not None and run.earned.other_population is not None:
        strangest = strangest_gallery(run.record["shift"]["strangest"], run.labels, run.classes)
    if run.labels is not None and of_rules.get("conflicts"):
        disagreed = conflict_gallery(of_rules["conflicts"], run.labels, run.classes)
    sound = run.record["inputs"].get("modality") == "audio"
    galleries = (
        []
        if run.labels is None
        else class_galleries(run.labels, run.classes, PER_CLASS // 2 if sound else PER_CLASS)
    )
    of_pool = [
        item.id
        for gallery in [unlike, disagreed, strangest, *(gallery for row in galleries for gallery in row[2:])]
        for item in gallery.items
    ]
    if originals is None:
        originals = find_originals(run.record, run.out, data)
    labelled_media, pool_media, notes = originals.media([item.id for item in suspicious.items], of_pool)
    certified = (run.record.get("audit") or {}).get("state") == "certified"
    earned = None if certified else run.earned
    return write_page(
        "run.html",
        (staged or out) / REPORT,
        unearned=[] if earned is None else earned.sentences(run.classes),
        least=run.settings.min_confidence if earned is None else earned.lowest(run.settings.min_confidence),
        run=run,
        record=run.record,
        title=f"Labels for {Path(str(run.record['inputs']['data'])).name}",
        noun={"image": "pictures", "audio": "clips", "text": "texts"}.get(
            run.record["inputs"].get("modality"), "items"
        ),
        classes=class_rows(run.record["counts"]["classes"], evaluation),
        matrix=matrix(evaluation),
        measures=measure_rows((run.record.get("evaluation") or {}).get("measures")),
        plots=_plots(run),
        legend=_legend(run),
        galleries=galleries,
        unlike=unlike,
        strangest=strangest,
        suspicious=suspicious,
        disagreed=disagreed,
        labelled_media=labelled_media,
        pool_media=pool_media,
        notes=[*run.missing, *_shift(run), *notes],
        steps=next_steps(run, suspicious.total, unlike.total),
        command=run_command(run),
        audit=_audit_rows(run),
        reasons=reason_counts([reason for _, reason in run.unreadable]),
        listed=LISTED,
        baseline=_baseline(run.record),
    )


def _audit_rows(run: RunRecord) -> list[list[Any]]:
    """Returns the audit list as a table with a header; empty if there is none."""
    if not run.audit:
        return []
    added = list(dict.fromkeys(name for item in run.audit for name in item.others))
    rows = [
        [number, item.id, item.label, item.correct, *(item.others.get(name, "") for name in added)]
        for number, item in enumerate(run.audit[:LISTED], 1)
    ]
    return [[*COLUMNS, *added], *rows]


def _out_of_fold(run: RunRecord) -> Evaluation | None:
    if run.evidence is None or not len(run.evidence.labelled_class_ids):
        return None
    predicted = run.evidence.out_of_fold.argmax(axis=1)
    return evaluate_predictions(run.evidence.labelled_class_ids, predicted, run.classes)


def _shift(run: RunRecord) -> list[str]:
    """Returns what differs between the labelled examples and the pool, in sentences."""
    if not run.record.get("shift"):
        return []
    shift = Shift.from_dict(run.record["shift"])
    differences = [f"What differs: {'; '.join(shift.differences)}."] if shift.differences else []
    return [*(f"{said}." for said in shift.sentences(run.classes)), *differences]


def _plots(run: RunRecord) -> dict[str, Any]:
    """Returns name to SVG for the figures whose data exists."""
    plots: dict[str, Any] = {}
    evaluation, chosen = run.record.get("evaluation") or {}, None
    table = curve = np.zeros((0, 0))
    if run.evidence is not None and len(run.evidence.labelled_class_ids):
        confidence = run.evidence.out_of_fold.max(axis=1)
        right = run.evidence.out_of_fold.argmax(axis=1) == run.evidence.labelled_class_ids
        table, curve = (
            reliability_table(confidence, right, _bins(len(right))),
            risk_coverage_curve(confidence, right),
        )
        accepted = confidence >= _thresholds(run)[run.evidence.out_of_fold.argmax(axis=1)]
        if accepted.any():
            chosen = (float(accepted.mean()), float(1 - right[accepted].mean()))
    elif evaluation.get("reliability") and evaluation.get("risk_coverage"):
        rows = [[one["confidence"], one["accuracy"], one["count"]] for one in evaluation["reliability"]]
        table, curve = np.array(rows, float), np.array(evaluation["risk_coverage"], float)
    if len(table):
        target = None if run.certificate is None else run.certificate.target_error
        plots["reliability"] = reliability_plot(table)
        plots["risk_coverage"] = risk_coverage_plot(curve, chosen, target)
        plots["chosen"], plots["halves"] = chosen, halves(curve)
        plots["table"] = table.tolist()
    if run.evidence is not None and len(run.evidence.points) > 2:
        given = np.isnan(run.evidence.point_confidence)
        plots["map"] = map_plot(run.evidence.points, run.evidence.point_class_ids, given, run.classes)
    return plots


def _bins(count: int) -> int:
    """Returns the number of bins of a reliability diagram; fewer than ten examples per bin show noise."""
    return min(max(count // 10, 2), 10)


def _thresholds(run: RunRecord) -> np.ndarray:
    """Returns (k,) float32, the threshold of each class; infinite if no label of it is accepted."""
    rule = (run.record.get("audit") or {}).get("acceptance") or run.record.get("acceptance")
    if rule is not None:
        return Acceptance.from_dict(rule).bounds
    certificate, bound = run.certificate, run.settings.min_confidence
    if certificate is not None:
        parts = certificate.per_class
        bounds = [certificate.threshold if parts is None else parts[name].threshold for name in run.classes]
        return np.array([np.inf if one is None else one for one in bounds], np.float32)
    return np.full(len(run.classes), bound, np.float32)


def _legend(run: RunRecord) -> list[tuple[str, int, str]]:
    """Returns name, colour and shape of the classes on the map, as `map_plot` draws them."""
    if run.evidence is None:
        return []
    shown = shown_classes(np.bincount(run.evidence.point_class_ids, minlength=len(run.classes)))
    return [
        (run.classes[class_id], number % COLOURS, SHAPES[number % len(SHAPES)])
        for number, class_id in enumerate(shown)
    ]


def _baseline(record: dict[str, Any]) -> dict[str, Any] | None:
    """Returns rows of name, accuracy and interval, this run first, and the sentence about transfer."""
    found = record.get("baseline") or {}
    own = record["cross_validation"]
    if not own.get("examples", 1):
        return None  # no label is a person's, so nothing can be compared
    rows = [("this run", own["accuracy"], own.get("accuracy_interval_95"))]
    for key, words, usual in (
        ("probe", "{}, no pretrained model", "a probe"),
        ("majority", "{}", "always the commonest class"),
    ):
        entry = found.get(key)
        if isinstance(entry, dict) and isinstance(entry.get("accuracy"), (int, float)):
            bounds = next((v for k, v in entry.items() if "interval" in k and isinstance(v, list)), None)
            # Not str.format with the name as its pattern, because class names can hold any characters.
            rows.append((words.replace("{}", str(entry.get("name") or usual)), entry["accuracy"], bounds))
    if len(rows) < 2:
        return None
    return {"rows": rows, "verdict": transfer_verdict(found), "why": found.get("why")}
