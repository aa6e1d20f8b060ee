"""Changes of the classes in the middle of the work."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from tfautolabel.runs.answers import Event


def class_change(
    classes: Sequence[str], who: str, kind: str, name: str, into: str = "", act: str = ""
) -> Event:
    """Returns the event that adds, renames or merges a class.

    Args:
        classes: the names today.
        who: the person.
        kind: "add", "rename" or "merge".
        name: the class to add, or the one that goes away.
        into: its new name, or the class that takes its examples.
        act: a name for the act; a new one by default.

    Raises:
        ValueError: If a name is empty, or exists where it must not, or does not exist where it must.
    """
    wrong = {
        "add": name in classes,
        "rename": name not in classes or into in classes,
        "merge": name not in classes or into not in classes or name == into,
    }
    if kind not in wrong or not name.strip() or (kind != "add" and not into.strip()) or wrong[kind]:
        raise ValueError(
            "a new name is not among the classes, and an old one is: "
            f"{', '.join(classes) or 'there are none'}. Received: {kind} {name!r} {into!r}"
        )
    return Event(act or uuid.uuid4().hex, who, kind, label=name.strip(), into=into.strip())
