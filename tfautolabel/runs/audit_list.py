"""The list of items that a person looks at, audit.csv: its one reader and its one writer."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfautolabel.data.atomic import atomic_write

COLUMNS = ("number", "id", "label", "correct")
"""A person writes into the last one, or adds `right_label`; all further columns are theirs."""

RIGHT_LABEL = "right_label"


@dataclass(frozen=True)
class AuditItem:
    """One item of the list.

    Attributes:
        id: its name.
        label: what it is said to be.
        correct: what a person wrote into that column.
        others: what is in columns that a person added, by name.
    """

    id: str
    label: str
    correct: str = ""
    others: dict[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """What was found: `right_label` if it says something, else `correct`; "" if nobody has looked."""
        return self.others.get(RIGHT_LABEL, "").strip() or self.correct.strip()


def read_audit_list(file: Path) -> list[AuditItem]:
    """The items of a list, in its order.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it lacks a column or is not UTF-8.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no list of audited items {file}: `tfautolabel audit` draws one")
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            # More cells than columns: a comma in a note that was typed without quotes.
            reader = csv.DictReader(stream, restkey="", restval="")
            names = list(reader.fieldnames or ())
            rows = [{name: _text(cell) for name, cell in row.items()} for row in reader]
    except UnicodeDecodeError as error:
        raise ValueError(f"a list of audited items is UTF-8. Received: {file}, {error.reason}") from error
    if not {"id", "label"} <= {*names}:
        raise ValueError(f"a list of audited items has the columns {', '.join(COLUMNS)}. Received: {file}")
    return [
        AuditItem(
            row["id"],
            row["label"],
            row.get("correct", ""),
            {name: cell for name, cell in row.items() if name not in COLUMNS},
        )
        for row in rows
    ]


def write_audit_list(items: Sequence[AuditItem], file: Path) -> None:
    """Writes a list, with the columns that a person added.

    Raises:
        OSError: If it cannot be written.
    """
    added = list(dict.fromkeys(name for item in items for name in item.others))
    with atomic_write(file) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*COLUMNS, *added])
        for number, item in enumerate(items, 1):
            others = [item.others.get(name, "") for name in added]
            writer.writerow([number, item.id, item.label, item.correct, *others])


def has_answers(file: Path) -> bool:
    """Whether a list is there and something was written into it."""
    return file.is_file() and any(item.answer for item in read_audit_list(file))


def keep_under_another_name(file: Path) -> Path:
    """Renames a file to the first name like audit-1.csv that is free, and returns it."""
    number = 1
    while (kept := file.with_name(f"{file.stem}-{number}{file.suffix}")).exists():
        number += 1
    os.replace(file, kept)
    return kept


def _text(cell: str | list[str]) -> str:
    return cell if isinstance(cell, str) else ",".join(cell)
