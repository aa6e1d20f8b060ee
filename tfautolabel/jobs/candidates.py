"""Which labels an audit looks at, and what the answers say of them."""

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

# Spreadsheets write truth in the language of their user.
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
    """Draws so many candidates into the list; answers that were given stay.

    A list of other candidates, from an earlier run, is not thrown away but gets another name.

    Args:
        staged: where the list is written; the earlier one is in the run's folder.
        candidates: what to draw from.
        n: how many items, counted with those that are listed already.
        design: decides the order; a longer list begins with the shorter one.
        say: told what became of an earlier list.

    Returns:
        How many items are listed; without any there is no list.
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
    """The answers of a list, which must begin with its first item and leave none out.

    Args:
        file: the list.
        candidates: what it was drawn from.
        design: by which it was drawn.
        classes: k names.

    Returns:
        (n,) int64, the places of the items that were looked at, and for each the right label; None where it
        is only known that the label is wrong.

    Raises:
        ValueError: If an item is not the one that was drawn, was passed over, or an answer is not valid; with
            the number of the row.
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
    """Names of classes that are also words for yes or no."""
    return [name for name in classes if name.lower() in (*YES, *NO)]


def say_ambiguous(classes: Sequence[str], say: Callable[[str], None]) -> None:
    """Says how answers are understood where a class has such a name."""
    if words := ambiguous(classes):
        say(f"{', '.join(words)}: as answers, these names of classes are taken for the right label")


def _right_label(item: AuditItem, classes: Sequence[str], number: int, file: Path) -> str | None:
    # A class's name first: with classes such as "0" and "1", or "yes" and "no", it is what is meant.
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
