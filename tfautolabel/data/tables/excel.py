"""Copies Excel workbooks row by row into a temporary CSV file."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from itertools import chain, islice
from typing import Any

from tfautolabel._optional import require
from tfautolabel.data.tables.columns import INPUTS, LABELS, plain_name
from tfautolabel.data.tables.merged_cells import MergedCells, merged_blocks
from tfautolabel.data.tables.text_file import TemporaryCopy, TextFile

KNOWN = frozenset((*INPUTS, *LABELS))
LOOKED_AT = 20
"""In how many first rows of a sheet the column names are searched."""


def is_workbook(path: str) -> bool:
    """Returns whether a file is an .xlsx workbook, whatever its name."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return False


def as_csv(path: str, shown: str | None = None) -> TextFile:
    """Copies one sheet to a temporary CSV file: the first with known column names, else the first with rows.

    Args:
        path: an .xlsx file.
        shown: the name of the file in messages; its path by default.

    Raises:
        ValueError: If it cannot be read or no sheet has rows.
        MissingExtraError: If openpyxl is not installed.
    """
    openpyxl = require("openpyxl", extra="excel")
    shown = shown or path
    copy = TemporaryCopy(".csv")
    try:
        # By content, as an open file: with a path, openpyxl refuses names that do not end in .xlsx.
        with warnings.catch_warnings(), open(path, "rb") as file:
            warnings.simplefilter("ignore")  # warnings about styles and similar parts, which are not read
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.worksheets
            filled = [sheet for sheet in sheets if any(_cells(row) for row in _rows(sheet))]
            filled.sort(key=lambda sheet: not _names_columns(sheet))
            if filled:
                merged = _merged(file, filled[0])
                _write(copy, merged.rows(_rows(filled[0])))
                unknown = _uncomputed(openpyxl, file, filled[0])
    except Exception as error:  # a damaged archive can raise any error
        raise ValueError(f"{shown}: is not a workbook that can be read ({str(error)[:200]})") from error
    if not filled:
        raise ValueError(f"{shown}: must hold rows. Received: a workbook whose sheets are empty")
    if merged.shared_name:
        raise ValueError(
            f"{shown}: each column of a sheet needs a name of its own. Received: {merged.shared_name}"
        )
    copy.finish()
    notes: tuple[str, ...] = ()
    if len(filled) > 1:
        others = ", ".join(repr(sheet.title) for sheet in filled[1:6])
        notes = (
            f"{shown}: sheet {filled[0].title!r} is read; not read: {others}; save another as a file of its "
            f"own to read it",
        )
    if unknown:
        notes += (
            f"{shown}: {unknown:,} cells hold formulas that no program has computed yet, and count as empty; "
            f"open and save the file in one that does",
        )
    if merged.filled:
        notes += (
            f"{shown}: {merged.filled:,} cells are merged with one above and have its value; unmerge them to "
            f"leave them empty",
        )
    return TextFile(copy.name, shown, notes, copy)


def _names_columns(sheet: object) -> bool:
    """Returns whether one of the first rows holds a known column name and has a row below it."""
    return _header(sheet) is not None


def _header(sheet: object) -> int | None:
    """Returns the number of the first row that holds a known column name and has a row below it, from 1."""
    rows = [_cells(row) for row in islice(_rows(sheet), LOOKED_AT)]
    named = (
        number for number, row in enumerate(rows[:-1], 1) if any(plain_name(cell) in KNOWN for cell in row)
    )
    return next(named, None)


def _merged(file: Any, sheet: Any) -> MergedCells:
    with zipfile.ZipFile(file) as archive:
        blocks = merged_blocks(archive, sheet.title)
    return MergedCells(blocks, _header(sheet) or 0)


def _uncomputed(openpyxl: Any, file: Any, sheet: Any) -> int:
    """Counts cells with a formula but no value; programs that write files often leave them."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        parts = [name for name in archive.namelist() if name.startswith("xl/worksheets/")]
        if not any(_holds_formulas(archive, name) for name in parts):
            return 0
    formulas = openpyxl.load_workbook(file, read_only=True)[sheet.title]
    return sum(
        value is None and formula is not None
        for values, written in zip(_rows(sheet), _rows(formulas), strict=False)
        for value, formula in zip(values, written, strict=False)
    )


def _holds_formulas(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as part:
        end = b""
        while piece := part.read(1 << 20):
            if b"<f>" in end + piece or b"<f " in end + piece:
                return True
            end = piece[-2:]
    return False


def _rows(sheet: Any) -> Iterator[Any]:
    sheet.reset_dimensions()  # some programs store a wrong size
    yield from sheet.iter_rows(values_only=True)


def _write(copy: Any, rows: Iterator[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    first = list(islice(rows, LOOKED_AT))
    width = max((len(_cells(row)) for row in first), default=0)
    for row in chain(first, rows):
        cells = _cells(row)
        if not cells:
            continue
        writer.writerow(cells + [""] * (width - len(cells)))
        if text.tell() > 1 << 20:
            copy.write(text.getvalue().encode("utf-8", "replace"))
            text.seek(0)
            text.truncate()
    copy.write(text.getvalue().encode("utf-8", "replace"))


def _cells(row: Any) -> list[str]:
    """Returns a row's cells as text, without empty cells at the end."""
    cells = [_text(value) for value in row]
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
