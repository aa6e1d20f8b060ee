"""Ends a session: what people said becomes labels, and the labels become what `run` leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import as_utf8, unix_csv
from tfautolabel.jobs.audit import draw_audit_list
from tfautolabel.jobs.run import RunResult, run
from tfautolabel.review.after_run import certify_answers, lists_of_run
from tfautolabel.review.session import Review
from tfautolabel.runs.answers import COLUMNS
from tfautolabel.runs.files import ANSWERED_LABELS, ANSWERS_CSV
from tfautolabel.runs.inputs import Place
from tfautolabel.runs.record import read_record
from tfautolabel.runs.said import ANSWER, ASKED, CHOSEN, GIVEN, RANDOM


def write_answers(review: Review, out: Path) -> tuple[Path, Path]:
    """Writes all answers, and the labels that hold, as tables; rows keep their order, as git likes it.

    Args:
        review: the session.
        out: the folder.

    Returns:
        answers.csv, an event a row, and labels.csv, a labelled example a row, which `run` takes as `labels`.

    Raises:
        OSError: If they cannot be written.
    """
    with atomic_write(out / ANSWERS_CSV) as stream:
        writer = unix_csv(stream)
        writer.writerow(COLUMNS)
        for event in review.answers.events():
            writer.writerow([as_utf8(value) if isinstance(value, str) else value for value in astuple(event)])
    labels, material = review.labels(), review.material
    drawn, judging, no_class = review.drawn(), review.judging(), review.without_class()
    with atomic_write(out / ANSWERED_LABELS) as stream:
        writer = unix_csv(stream)
        name = "path" if material.source and material.source.is_folder else "id"
        writer.writerow([name, "label", ASKED, ANSWER])
        for number, item in enumerate(material.ids):
            if item in labels:
                how = RANDOM if item in drawn else GIVEN if item in judging else CHOSEN
                writer.writerow([as_utf8(item), as_utf8(labels[item]), how, ""])
            elif item in no_class:
                writer.writerow([as_utf8(item), "", "", no_class[item]])
            elif number == 0:  # a list that begins with row 1 could be one that counts from 1
                writer.writerow([as_utf8(item), "", "", ""])
    return out / ANSWERS_CSV, out / ANSWERED_LABELS


def finish_review(
    review: Review,
    *,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Labels everything that nobody has labelled, with what was learnt, as `run` does.

    Args:
        review: the session.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was recognised or chosen.

    Returns:
        What `run` returns.

    Raises:
        ValueError: If a class has no label yet, the data is in memory only, or it cannot be used.
        OSError: If a file cannot be written.
    """
    source, out = review.material.source, review.answers.file.parent
    if source is None:
        raise ValueError("examples in memory cannot be labelled by `run`: give `labels()` to a Labeler")
    counts = review.status().classes
    missing = [name for name, count in counts.items() if not count and not source.knows_classes]
    if missing:
        raise ValueError(
            "every class needs a label before the rest can be labelled: answer one, or merge the class "
            f"into another. Received: none of {', '.join(missing)}"
        )
    _, labels = write_answers(review, out)
    data = source.data if source.path is None else str(source.path)
    settings = replace(source.settings, sampling="chosen")
    result = run(
        data,
        out,
        labels=labels,
        rules=source.rules,
        descriptions=source.descriptions,
        settings=settings,
        cache_dir=cache_dir,
        progress=progress,
        say=say,
    )
    review.set_lists(lists_of_run(out, result.record, review.material))
    return result


def _certified(review: Review, out: Path) -> str:
    """Certifies by the audit's answers; if more are needed, their examples are listed next."""
    record = read_record(out)
    done = certify_answers(out, record, review.ledger)
    said = f"{done.answered} labels were checked, {done.wrong} are wrong. "
    if done.state != "undecided":
        return said + done.certificate.sentence()
    _, listed, needed = draw_audit_list(out)
    review.set_lists(lists_of_run(out, read_record(out), review.material))
    more = (needed.expected or needed.if_right or listed) - done.answered
    return f"{said}Nothing is certified yet: about {max(more, 1)} more answers are needed."


def _checked(review: Review) -> tuple[int, int]:
    """Returns how many given labels people looked at, and how many of these are another label now."""
    given = review.material.given
    looked = [one for one in review.ledger.verdicts("check") if one.kind != "skip"]
    return len(looked), sum(one.label != given.get(one.item, "") for one in looked)


def finisher(review: Review, cache_dir: Place | None = None) -> Callable[[str], str]:
    """Returns what a page calls to end a mode; it returns a sentence about the result.

    Args:
        review: the session.
        cache_dir: the folder where features are kept between runs.
    """
    out = review.answers.file.parent

    def finish(mode: str) -> str:
        if mode == "audit":
            write_answers(review, out)
            return _certified(review, out)
        if mode == "check":
            _, labels = write_answers(review, out)
            looked, changed = _checked(review)
            return f"{looked} given labels were looked at, {changed} changed. {labels} holds them for `run`."
        counts = finish_review(review, cache_dir=cache_dir, progress=False).record["counts"]
        return f"{counts['to_label']:,} examples were labelled, {counts['accepted']:,} labels are accepted."

    return finish
