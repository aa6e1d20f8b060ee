"""The list of items that a person checks, audit.csv; only this module reads and writes it."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.tables.excel import as_csv, is_workbook
from tfautolabel.data.tables.padded_quotes import without_padding
from tfautolabel.data.tables.text_file import open_text
from tfautolabel.data.writers import as_utf8, unix_csv

COLUMNS = ("number", "id", "label", "correct")
"""A person fills in the last column or adds `right_label`; all further columns are theirs."""

RIGHT_LABEL = "right_label"

_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")
"""Characters that start a formula in a spreadsheet, whoever chose the name; see OWASP, "CSV injection"."""


@dataclass(frozen=True)
class AuditItem:
    """One item of the list.

    Attributes:
        id: its name.
        label: the label to be checked.
        correct: what a person wrote into that column.
        others: the content of columns that a person added, by name.
    """

    id: str
    label: str
    correct: str = ""
    others: dict[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """The answer: `right_label` if it is filled in, else `correct`; "" if nobody has answered."""
        return self.others.get(RIGHT_LABEL, "").strip() or self.correct.strip()


def read_audit_list(file: Path) -> list[AuditItem]:
    """Returns the items of a list in the order of their numbers, as written or as a spreadsheet saved it.

    The file may be a workbook. In text, commas, semicolons or tabs may separate the columns. Column names may
    be in any case. Empty rows do not count. Text that is not UTF-8 is read as `open_text` does.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it lacks a column or its encoding cannot be told.
    """
    if not file.is_file():
        raise FileNotFoundError(f"there is no list of audited items {file}: `tfautolabel audit` draws one")
    text = as_csv(str(file)) if is_workbook(str(file)) else open_text(str(file))
    try:
        with open(text.path, encoding="utf-8-sig", errors="backslashreplace", newline="") as stream:
            header = stream.readline()
            if header.lower().startswith(("sep=", '"sep=')):
                header = stream.readline()
            mark = max(",;\t", key=header.count)
            header = next(without_padding([header], mark, '"', spaced=False))
            names = [_column(name) for name in next(csv.reader([header], delimiter=mark), [])]
            # There are more cells than columns, because of a comma in a note without quotes.
            lines = without_padding(stream, mark, '"', spaced=False)
            reader = csv.DictReader(lines, names, restkey="", restval="", delimiter=mark)
            rows = [
                {name: _text(cell) for name, cell in row.items()}
                for row in reader
                if any(_text(cell).strip() for cell in row.values())
            ]
    except csv.Error as error:
        raise ValueError(f"a list of audited items is a CSV file. Received: {file}, {error}") from error
    if not {"id", "label"} <= {*names} or not {"correct", RIGHT_LABEL} & {*names}:
        raise ValueError(f"a list of audited items has the columns {', '.join(COLUMNS)}. Received: {file}")
    numbers = [_number(row.get("number", "")) for row in rows]
    if sorted(numbers) == list(range(1, len(rows) + 1)):  # a person sorted it by another column
        rows = [row for _, row in sorted(zip(numbers, rows, strict=True), key=lambda pair: pair[0])]
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
    """Writes a list with the columns that a person added.

    People open the list in a spreadsheet. A cell that the spreadsheet would treat as a formula gets an
    apostrophe in front, and `read_audit_list` removes it again.

    Raises:
        OSError: If it cannot be written.
    """
    added = list(dict.fromkeys(name for item in items for name in item.others))
    with atomic_write(file) as stream:
        writer = unix_csv(stream)
        writer.writerow([*COLUMNS, *map(guarded, added)])
        for number, item in enumerate(items, 1):
            others = [item.others.get(name, "") for name in added]
            cells = (as_utf8(cell) for cell in (item.id, item.label, item.correct, *others))
            writer.writerow([number, *map(guarded, cells)])


def has_answers(file: Path) -> bool:
    """Returns whether a list exists and holds an answer."""
    return file.is_file() and any(item.answer for item in read_audit_list(file))


def _number(cell: str) -> int:
    """Returns the number of an item; 0 if there is none."""
    whole = cell.strip().partition(".")
    return int(whole[0]) if whole[0].isascii() and whole[0].isdecimal() and not whole[2].strip("0") else 0


def _column(name: str) -> str:
    """Returns a column's name; our own names may be in any case."""
    name = _as_written(name)
    return name.strip().lower() if name.strip().lower() in (*COLUMNS, RIGHT_LABEL) else name


def _text(cell: str | list[str]) -> str:
    return _as_written(cell if isinstance(cell, str) else ",".join(cell))


def guarded(cell: str) -> str:
    """Adds an apostrophe if a spreadsheet would compute the cell, or if it looks guarded already."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _as_written(cell: str) -> str:
    """Undoes `guarded`; a cell without a guard, as in older lists or from people, stays."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
