"""Excel's workbooks, read row by row into a temporary CSV file."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any

from tfautolabel._optional import require
from tfautolabel.data.tables.text_file import TemporaryCopy, TextFile


def is_workbook(path: str) -> bool:
    """Whether a file is a workbook of Excel's newer kind, whatever its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def as_csv(path: str) -> TextFile:
    """A temporary CSV file with the rows of the first sheet that has any.

    Args:
        path: an .xlsx file.

    Raises:
        ValueError: If it cannot be read or no sheet has rows.
        MissingExtraError: If openpyxl is not installed.
    """
    openpyxl = require("openpyxl", extra="excel")
    copy = TemporaryCopy(".csv")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like, which are not read
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            filled = [sheet for sheet in sheets if any(_cells(row) for row in _rows(sheet))]
            if filled:
                _write(copy, filled[0])
    except Exception as error:  # a damaged archive raises whatever its damage leads to
        raise ValueError(f"{path}: is not a workbook that can be read ({str(error)[:200]})") from error
    if not filled:
        raise ValueError(f"{path}: must hold rows. Received: a workbook whose sheets are empty")
    copy.finish()
    notes: tuple[str, ...] = ()
    if len(filled) > 1:
        others = ", ".join(repr(sheet.title) for sheet in filled[1:6])
        notes = (
            f"{path}: sheet {filled[0].title!r} is read, the first that has rows; not read: {others}; save "
            f"another "
            f"as a file of its own to read it",
        )
    return TextFile(copy.name, path, notes, copy)


def _rows(sheet: Any) -> Iterator[Any]:
    sheet.reset_dimensions()  # some programs write a wrong size
    yield from sheet.iter_rows(values_only=True)


def _write(copy: Any, sheet: Any) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    width = 0
    for row in _rows(sheet):
        cells = _cells(row)
        if not cells:
            continue
        width = width or len(cells)
        writer.writerow(cells + [""] * (width - len(cells)))
        if text.tell() > 1 << 20:
            copy.write(text.getvalue().encode("utf-8", "replace"))
            text.seek(0)
            text.truncate()
    copy.write(text.getvalue().encode("utf-8", "replace"))


def _cells(row: Any) -> list[str]:
    """A row's cells as text, without empty ones at the end."""
    cells = [_text(value) for value in row]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
