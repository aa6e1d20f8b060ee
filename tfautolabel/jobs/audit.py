"""Audits a run's labels: draws a list to check, and certifies by its answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.jobs.candidates import list_items, read_answers, say_ambiguous
from tfautolabel.runs.audit_list import has_answers
from tfautolabel.runs.candidates import Candidates, read_candidates
from tfautolabel.runs.commit import Staging, staging_of_run
from tfautolabel.runs.files import AUDIT_LIST, MODELS, VERSION
from tfautolabel.runs.identity import RUN_ID, check_whole, digests
from tfautolabel.runs.inputs import Place
from tfautolabel.runs.record import settings_of, write_record
from tfautolabel.runs.rewrite import LabelChanges, rewrite_labels
from tfautolabel.trust import (
    AnswersNeeded,
    AuditDesign,
    Certificate,
    answers_needed,
    certify_audited,
    design_audit,
)
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.binomial import check_levels, error_bound


@dataclass(frozen=True)
class AuditResult:
    """The results of an audit.

    Attributes:
        list_file: the list that was read.
        answered: the number of items that were checked.
        wrong: the number of wrong labels among them.
        certificate: the certificate of the answers so far.
        state: "certified", "refuted" if the labels are known to miss the target, or "undecided".
        needed: the number of answers that are needed.
        standing: an earlier certificate for other levels that the answers still support, so that it is kept.
    """

    list_file: Path
    answered: int
    wrong: int
    certificate: Certificate
    state: str
    needed: AnswersNeeded
    standing: Certificate | None = None


def draw_audit_list(
    out: Place,
    *,
    n: int | None = None,
    target_error: float | None = None,
    confidence: float | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Path, int, AnswersNeeded]:
    """Draws labels of a run into out/audit.csv for a person to check, or adds more of them.

    Args:
        out: a folder that `run` wrote.
        n: the total number of items; by default what `tfautolabel.trust.answers_needed` says.
        target_error: in (0, 1); by default the run's.
        confidence: in (0, 1); by default the run's.
        seed: decides the order; by default the run's, with which a longer list begins with the shorter one.
        say: is called with a sentence about an earlier list.

    Returns:
        The list, its number of items, and the number of answers that are needed.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If a number is not valid, no label is sure enough to be checked, or another seed is given
            after answers were given.
    """
    if n is not None and n < 1:
        raise ValueError(f"an audit looks at one item at least. Received: n={n}")
    with staging_of_run(Path(out)) as (staged, record):
        check_whole(staged.out, record, but=[AUDIT_LIST])
        return _draw(staged, record, n, _levels(record, target_error, confidence), seed, say)


def _draw(
    staged: Staging,
    record: dict[str, Any],
    n: int | None,
    levels: tuple[float, float],
    seed: int | None,
    say: Callable[[str], None],
) -> tuple[Path, int, AnswersNeeded]:
    out, candidates = staged.out, read_candidates(staged.out)
    if not len(candidates.scores):
        raise ValueError(
            f"there must be a label that is sure enough to be looked at. Received: none in {out}"
        )
    target_error, confidence = levels
    design = _design(record, candidates, target_error, confidence)
    if seed is not None and seed != design.seed:
        if has_answers(out / AUDIT_LIST):
            raise ValueError(
                f"the seed of an audit stays {design.seed} once answers are given, since who chooses between "
                f"samples has no guarantee. Received: seed={seed}"
            )
        design = replace(design, seed=seed)
    needed = _needed_before(record, target_error, confidence) or answers_needed(
        candidates.scores,
        np.zeros(0, bool),
        target_error=target_error,
        confidence=confidence,
        design=design,
    )
    listed = list_items(staged, candidates, needed.to_list if n is None else n, design, say)
    record["audit"] |= {
        "seed": design.seed,
        "listed": listed,
        "design": design.to_dict(),
        "needed": needed.to_dict(),
    }
    record["files"] |= digests(staged.folder)
    write_record(record, staged.folder)
    staged.commit()
    say_ambiguous(tuple(record["counts"]["classes"]), say)
    return out / AUDIT_LIST, listed, needed


def certify_run(
    out: Place,
    audited: Place | None = None,
    *,
    target_error: float | None = None,
    confidence: float | None = None,
) -> AuditResult:
    """Reads the answers of an audit and applies their certificate to the run's labels and model.

    Checked items become labels of a person: right labels and corrected labels are accepted; labels that are
    only known to be wrong are not. If the target is certified, labels are accepted from the certified
    threshold on. If the target is refuted (the exact lower bound of the share of wrong labels lies above it;
    Clopper and Pearson, Biometrika 26, 1934), no other labels are accepted. Until then, the other labels stay
    as the run decided, or as an earlier audit for other levels certified. The tables, run.json and the
    exported model always follow the same rule.

    Args:
        out: a folder that `run` wrote.
        audited: the list with the answers; out/audit.csv by default.
        target_error: in (0, 1); by default the run's.
        confidence: in (0, 1); by default the run's.

    Returns:
        The certificate, or how many more answers are needed.

    Raises:
        FileNotFoundError: If the run, the list or the model does not exist.
        ValueError: If an answer is not valid; the message gives the row.
        CheckFailure: If the model cannot take the thresholds.
    """
    file = Path(out) / AUDIT_LIST if audited is None else Path(audited)
    with staging_of_run(Path(out)) as (staged, record):
        # The list is checked item by item, so the message can give the row of a mistake.
        check_whole(staged.out, record, but=[AUDIT_LIST])
        return _certify(staged, record, file, _levels(record, target_error, confidence))


def _certify(staged: Staging, record: dict[str, Any], file: Path, levels: tuple[float, float]) -> AuditResult:
    candidates, (target_error, confidence) = read_candidates(staged.out), levels
    classes = tuple(record["counts"]["classes"])
    design = _design(record, candidates, target_error, confidence)
    order, answers = read_answers(file, candidates, design, classes)
    right = np.array([answers[i] == candidates.labels[place] for i, place in enumerate(order)], bool)
    by: dict[str, Any] = {"target_error": target_error, "confidence": confidence, "design": design}
    certificate = certify_audited(candidates.scores, right, order, **by)
    needed = answers_needed(candidates.scores, right, **by)
    state = _state(certificate, needed, right[: design.uniform or None])
    earlier = _standing(candidates, record, right, order, design) if state != "certified" else None
    rule = Acceptance.from_dict(record["acceptance"])
    # The run's own decision applies again if answers are withdrawn.
    before = record["audit"].setdefault("certificate_of_run", record["certificate"])
    applied = earlier or (None if state == "undecided" else certificate)
    if applied is not None:
        rule = rule.audited(applied)
    changes = LabelChanges(candidates, dict(zip(order.tolist(), answers, strict=True)), rule, classes)

    def apply(counts: dict[str, Any]) -> None:
        said = before if applied is None else applied.of_pool(counts["accepted"], counts["total"]).to_dict()
        _rewrite_model(staged, rule, said)
        record["certificate"] = said

    counts = rewrite_labels(staged, {RUN_ID: record["id"]}, changes, apply)
    of_pool = counts["accepted"], counts["total"]
    record["counts"] |= {"accepted": counts["accepted"], "reasons": counts["reasons"]}
    for name in classes:
        record["counts"]["classes"][name]["accepted"] = counts["classes"].get(name, 0)
    record["audit"] |= {
        "answered": len(answers),
        "wrong": int((~right).sum()),
        "state": state,
        "needed": needed.to_dict(),
        "target_error": target_error,
        "confidence": confidence,
        "acceptance": rule.to_dict(),
    }
    record["files"] |= digests(staged.folder)
    write_record(record, staged.folder)
    from tfautolabel.report import render_report

    render_report(staged.out, staged.folder)
    staged.commit()
    kept = None if earlier is None else earlier.of_pool(*of_pool)
    return AuditResult(
        file, len(answers), int((~right).sum()), certificate.of_pool(*of_pool), state, needed, kept
    )


def _design(
    record: dict[str, Any], candidates: Candidates, target_error: float, confidence: float
) -> AuditDesign:
    """Returns the design that the list was drawn by, or a new one; it decides how answers are read."""
    drawn = record["audit"].get("design")
    if drawn is not None:
        return AuditDesign.from_dict(drawn)
    seed = record["audit"]["seed"]
    return design_audit(candidates.scores, target_error=target_error, confidence=confidence, seed=seed)


def _needed_before(record: dict[str, Any], target_error: float, confidence: float) -> AnswersNeeded | None:
    """Returns the answers needed as of the last reading, if it had the same levels."""
    audit = record["audit"]
    if not audit.get("answered") or (audit["target_error"], audit["confidence"]) != (
        target_error,
        confidence,
    ):
        return None
    return AnswersNeeded.from_dict(audit["needed"])


def _state(certificate: Certificate, needed: AnswersNeeded, alike: np.ndarray) -> str:
    """Returns the state; `alike` are the answers to a simple random sample, which the error bound needs."""
    if certificate.kind == "certified":
        return "certified"
    # The lower bound for errors is one minus the upper bound for right labels.
    n, right = len(alike), int(alike.sum())
    if 1.0 - error_bound(n, right, certificate.confidence) > certificate.target_error:
        return "refuted"
    return "refuted" if needed.is_impossible else "undecided"


def _standing(
    candidates: Candidates,
    record: dict[str, Any],
    right: np.ndarray,
    order: np.ndarray,
    design: AuditDesign,
) -> Certificate | None:
    """Returns the earlier certificate at its own levels, if today's answers still support it."""
    found = record["certificate"]
    if found is None or found["kind"] != "certified":
        return None
    again = certify_audited(
        candidates.scores,
        right,
        order,
        target_error=found["target_error"],
        confidence=found["confidence"],
        design=design,
    )
    return again if again.kind == "certified" else None


def _rewrite_model(staged: Staging, rule: Acceptance, certificate: dict[str, Any] | None) -> None:
    """Makes a copy of the exported model with the acceptance rule of the tables."""
    # Imported late, because TensorFlow takes seconds to load: a mistake in the list shows first.
    from tfautolabel.export import rewrite_acceptance

    folder, copy = staged.out / MODELS / VERSION, staged.folder / MODELS / VERSION
    if not folder.is_dir():
        raise FileNotFoundError(f"the model of the run is no longer there: {folder}")
    shutil.copytree(folder, copy, symlinks=True)
    rewrite_acceptance(copy, rule, {"certificate": certificate})


def _levels(
    record: dict[str, Any], target_error: float | None, confidence: float | None
) -> tuple[float, float]:
    settings = settings_of(record)
    target = settings.target if target_error is None else target_error
    sure = settings.certify_confidence if confidence is None else confidence
    check_levels(target, sure)
    return target, sure
