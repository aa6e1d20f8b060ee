"""Writes rows to Excel workbooks."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tfautolabel._optional import require
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.places import Place

MAX_ROWS = 1_048_576
"""The most rows in a sheet."""

MAX_TEXT = 32_767
"""The most characters in a cell."""

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


@contextmanager
def write_workbook(
    path: str | os.PathLike[str] | Place, columns: Sequence[str]
) -> Iterator[Callable[[Iterable[Sequence[Any]]], None]]:
    """Writes a workbook with one sheet; the file appears whole at the end of the block.

    Args:
        path: the file; missing folders are made.
        columns: the header.

    Returns:
        A context manager that gives a function that writes rows. Text stays text, whatever it begins with.
        Characters that a workbook cannot hold become question marks.

    Raises:
        MissingExtraError: If openpyxl is not installed.
        ValueError: If there are more rows than a sheet holds, or a text is longer than a cell may be.
    """
    openpyxl = require("openpyxl", extra="excel")
    make_cell = require("openpyxl.cell", extra="excel").WriteOnlyCell
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("labels")
    sheet.append(list(columns))
    written = 1

    def cell(value: object) -> Any:
        if not isinstance(value, str):
            return value
        text = _UNWRITABLE.sub("?", value)
        if len(text) > MAX_TEXT:
            raise ValueError(
                f"a cell of a workbook holds {MAX_TEXT:,} characters at most. Received: {len(text):,}"
            )
        made = make_cell(sheet, text)
        made.data_type = "s"  # otherwise "=1+1" would be a formula
        return made

    def write(rows: Iterable[Sequence[Any]]) -> None:
        nonlocal written
        for row in rows:
            written += 1
            if written > MAX_ROWS:
                raise ValueError(
                    f"a sheet holds {MAX_ROWS:,} rows at most, with the header. Received: more; write .csv "
                    f"or .parquet"
                )
            sheet.append([cell(value) for value in row])

    with atomic_write(path, "wb") as file:
        try:
            yield write
            book.save(file)
        finally:
            book.close()


def workbook_columns(path: str | os.PathLike[str] | Place) -> tuple[str, ...] | None:
    """Returns the header of a workbook's first sheet; None if it cannot be read."""
    openpyxl = require("openpyxl", extra="excel")
    source = io.BytesIO(path.read_bytes()) if isinstance(path, Place) else path
    try:
        book = openpyxl.load_workbook(source, read_only=True)
        row = next(book.worksheets[0].iter_rows(values_only=True), ())
        book.close()
    except Exception:  # a damaged archive can raise any error
        return None
    return tuple(str(value) for value in row)
