"""Audits step by step: the same call first lists the items to check, and later certifies by the answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tfautolabel.jobs.audit import AuditResult, Place, certify_run, draw_audit_list
from tfautolabel.runs.audit_list import has_answers
from tfautolabel.runs.files import AUDIT_LIST


def audit(
    out: Place,
    answers: Place | None = None,
    *,
    n: int | None = None,
    target_error: float | None = None,
    confidence: float | None = None,
    seed: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AuditResult | None:
    """Takes an audit of a run one step further.

    The first call writes out/audit.csv: the labels that a person checks, in this order. When its column
    `correct` has answers (yes, no or the right label), the same call certifies by them. Then the predictions,
    the model, the report and run.json follow the certificate. The certificate is valid whenever a person
    stops.

    Args:
        out: a folder that `run` wrote.
        answers: a list with answers; out/audit.csv by default.
        n: the total number of items in the list; by default as many as needed.
        target_error: in (0, 1); by default the run's.
        confidence: in (0, 1); by default the run's.
        seed: decides which items are drawn; by default the run's.
        say: is called with a sentence about an earlier list.

    Returns:
        The certificate of the answers so far; None if there are no answers yet and the list was drawn.

    Raises:
        FileNotFoundError: If the folder holds no run, or the list or the model does not exist.
        ValueError: If a number or an answer is not valid, or no label is sure enough to be checked.
        CheckFailure: If the model cannot take the thresholds.
    """
    if answers is None and not has_answers(Path(out) / AUDIT_LIST):
        draw_audit_list(out, n=n, target_error=target_error, confidence=confidence, seed=seed, say=say)
        return None
    return certify_run(out, answers, target_error=target_error, confidence=confidence)
