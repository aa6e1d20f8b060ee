"""Lists the labels that an audit checks, and reads the answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfautolabel.data.label_values import class_key
from tfautolabel.runs.audit_list import AuditItem, read_audit_list, write_audit_list
from tfautolabel.runs.candidates import Candidates
from tfautolabel.runs.commit import Staging, free_name
from tfautolabel.runs.files import AUDIT_LIST
from tfautolabel.trust import AuditDesign

# Spreadsheets write truth values in the language of their user.
YES = (
    "yes", "y", "true", "t", "1", "ok", "okay", "correct", "right", "wahr", "vrai", "verdadero", "vero",
    "waar",
)  # fmt: skip
NO = ("no", "n", "false", "f", "0", "wrong", "incorrect", "falsch", "faux", "falso", "onwaar")


def list_items(
    staged: Staging,
    candidates: Candidates,
    n: int,
    design: AuditDesign,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Draws n candidates into the list and keeps the answers that were given.

    If an earlier run's list holds other candidates and answers, it is kept under another name.

    Args:
        staged: the place to write the list; the earlier list is in the run's folder.
        candidates: the labels to draw from.
        n: how many items in total, including those that are already listed.
        design: decides the order; a longer list begins with the shorter one.
        say: is called with a sentence about an earlier list.

    Returns:
        How many items are listed; with none, no list is written.
    """
    file = staged.out / AUDIT_LIST
    staged.will_replace(AUDIT_LIST)
    order = design.order(candidates.scores, n)
    earlier = read_audit_list(file) if file.is_file() else []
    longer = design.order(candidates.scores, max(n, len(earlier)))
    expected = [(candidates.ids[place], candidates.labels[place]) for place in longer]
    if [(item.id, item.label) for item in earlier] == expected[: len(earlier)]:
        order = longer
    else:
        if any(item.answer or item.others for item in earlier):
            kept = free_name(file)
            shutil.copyfile(file, staged.folder / kept.name)
            say(f"{file} listed other items: it was kept as {kept.name}")
        earlier = []
    drawn = [AuditItem(candidates.ids[place], candidates.labels[place]) for place in order]
    if drawn:
        write_audit_list([*earlier, *drawn[len(earlier) :]], staged.folder / AUDIT_LIST)
    return len(drawn)


def read_answers(
    file: Path, candidates: Candidates, design: AuditDesign, classes: Sequence[str]
) -> tuple[np.ndarray, list[str | None]]:
    """Reads the answers of a list; they must begin at the first item without gaps.

    Args:
        file: the list.
        candidates: the labels that the list was drawn from.
        design: the design that it was drawn by.
        classes: k names.

    Returns:
        (n,) int64, the places of the checked items, and the right label of each; None if it is only known
        that the label is wrong.

    Raises:
        ValueError: If an item is not the one that was drawn or was skipped, or an answer is not valid; the
            message gives the row number.
    """
    items = read_audit_list(file)
    order = design.order(candidates.scores, len(items))
    answers: list[str | None] = []
    unanswered = 0
    for number, item in enumerate(items, 1):
        place = order[number - 1] if number <= len(order) else None
        if place is None or item.id != candidates.ids[place] or item.label != candidates.labels[place]:
            raise ValueError(
                f"row {number} must be the item that was drawn for it"
                f"{'' if place is None else f', {candidates.ids[place]}'}: a list is valid for its own run, "
                f"in its own order. Received: {item.id} in {file}"
            )
        if not item.answer:
            unanswered = unanswered or number
        elif unanswered:
            raise ValueError(
                "items must be looked at in their order and none passed over. Received: an answer in row "
                f"{number} of {file}, none in row {unanswered}"
            )
        else:
            answers.append(_right_label(item, classes, number, file))
    return order[: len(answers)], answers


def ambiguous(classes: Sequence[str]) -> list[str]:
    """Returns class names that are also words for yes or no."""
    return [name for name in classes if name.lower() in (*YES, *NO)]


def say_ambiguous(classes: Sequence[str], say: Callable[[str], None]) -> None:
    """Says how answers are understood if a class has such a name."""
    if words := ambiguous(classes):
        say(f"{', '.join(words)}: as answers, these names of classes are taken for the right label")


def _right_label(item: AuditItem, classes: Sequence[str], number: int, file: Path) -> str | None:
    # Class names come first: for classes such as "0" and "1", or "yes" and "no", the class is meant.
    if item.answer in classes:
        return item.answer
    alike = [name for name in classes if class_key(name).casefold() == class_key(item.answer).casefold()]
    if len(alike) == 1:
        return alike[0]
    if item.answer.lower() in YES:
        return item.label
    if item.answer.lower() in NO:
        return None
    raise ValueError(
        f"an answer is yes, no or the right label ({', '.join(classes)}). Received: {item.answer!r} in row "
        f"{number} of {file}"
    )
