"""CSV and TSV files; only the positions of their records are kept in memory."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.tables.contract import Columns, Record, RowCollector, Scan
from tfautolabel.data.tables.csv_dialect import ONE_COLUMN, Dialect, csv_reader, find_dialect
from tfautolabel.data.tables.places import PlacedReader, Places, skip_line
from tfautolabel.data.tables.text_file import TextFile, open_text

MAX_FIELD = 64 * 1024 * 1024
"""The most characters in a field and bytes in a line; beyond that, a quote was probably never closed."""


class CsvTable:
    """A file of delimited records, with or without a header.

    Args:
        path: the file, or its text if that was read already.
        wanted: the columns that a user asked for.
        row_word: the word for a record in messages: "line", or "row" if the user has no lines.

    Raises:
        ValueError: If its encoding cannot be detected or it has no columns.
    """

    def __init__(
        self, path: str | os.PathLike[str] | TextFile, wanted: Iterable[str] = (), row_word: str = "line"
    ) -> None:
        self._text = path if isinstance(path, TextFile) else open_text(os.fspath(path))
        self.name = self._text.name
        self._row_word = row_word
        with _large_fields():
            self._dialect = find_dialect(self._text.path, wanted)
            header = next(self._records(), None)
        if header is not None and header.damage is not None and self._dialect.has_header:
            raise ValueError(f"{self.name}: the first line must name the columns. Received: {header.damage}")
        self._names = self._dialect.names
        if not any(self._names):
            raise ValueError(f"{self.name}: the first line must name the columns. Received: an empty line")
        self.columns = tuple(_decodable(name) for name in self._names if name)
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            raise ValueError(f"{self.name}: columns must have different names. Received twice: {repeated}")
        self.id_hint: str | None = None
        self.unnamed = not self._dialect.has_header
        self.notes = (*self._text.notes, *self._said())

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows."""
        rows: list[dict[str, bytes | None]] = []
        with _large_fields():
            for _, _, fields, _, damage in self._rows():
                if damage is None and self._why_unusable(fields, None) is None:
                    values = (field.encode("utf-8", "surrogateescape") for field in fields)
                    pairs = zip(self._names, values, strict=False)
                    rows.append({_decodable(name): value or None for name, value in pairs if name})
                if len(rows) == count:
                    break
        return rows

    def records(self) -> Iterator[Record]:
        """Yields each row's values, or why it has none."""
        with _large_fields():
            for number, (_, _, fields, line, damage) in enumerate(self._rows()):
                reason = damage or self._why_unusable(fields, None)
                values: dict[str, Any] | None = None
                if reason is None:
                    pairs = zip(self._names, fields, strict=False)
                    values = {_decodable(name): value for name, value in pairs if name}
                yield Record(self._place(number, line), values, reason)

    def scan(self, columns: Columns) -> Scan:
        """Passes over the file once; see `Table.scan`."""
        place = {_decodable(name): position for position, name in enumerate(self._names) if name}
        given, label, name = (None if c is None else place[c] for c in columns[:3])
        collector = RowCollector(self.name, columns)
        places = Places()
        with _large_fields():
            for row, (start, end, fields, line, damage) in enumerate(self._rows()):
                reason = damage or self._why_unusable(fields, given)
                own = None if name is None or len(fields) <= name else _decodable(fields[name])
                if reason is not None:
                    collector.set_aside(row, own, f"{self._place(row, line)}: {reason}")
                    continue
                if name is not None and not own:
                    collector.set_nameless_aside(row, self._place(row, line))
                    continue
                collector.keep(row, None if label is None else _decodable(fields[label]), own)
                places.append(start, end - start)
        take = _FieldOf(self._dialect, given or 0)
        lasts = self._text.copy is None
        return collector.finish(PlacedReader(self._text.path, places, take, lasts))

    def _place(self, row: int, line: int) -> str:
        """Says where a row is; the header of a sheet is its row 1."""
        return (
            f"line {line}" if self._row_word == "line" else f"{self._row_word} {row + 1 + (not self.unnamed)}"
        )

    def _said(self) -> Iterator[str]:
        if self._dialect.names_mark:
            yield f"{self.name}: the first line says how columns are separated and was left out"
        if self._dialect.above:
            yield (
                f"{self.name}: lines above the header were left out: "
                f"{', '.join(repr(line[:60]) for line in self._dialect.above[:3])}"
            )
        if self.unnamed:
            yield (
                f"{self.name}: the first {self._row_word} names no columns and is read as a row, so they "
                f"are called "
                f"{', '.join(map(repr, self.columns[:3]))}{', …' if len(self.columns) > 3 else ''}; if it "
                f"does, "
                f"say which by input_column=… (--input-column)"
            )
        if not self._dialect.sure:
            yield (
                f"{self.name}: the first {self._row_word} is taken for the header, "
                f"{list(self.columns)[:5]}; if it is "
                f"a row, say input_column='column 1' (--input-column \"column 1\") or another number"
            )
        if self._dialect.marks.delimiter == "\t" and not self._dialect.marks.quoted:
            yield f"{self.name}: quotes mean nothing between these tabs and belong to the texts"
        if self._dialect.marks.delimiter == ONE_COLUMN:
            yield f"{self.name}: has one column, so commas and semicolons belong to the texts"

    def _why_unusable(self, fields: list[str], given: int | None) -> str | None:
        width = len(self._names)
        if len(fields) < width or any(field.strip() for field in fields[width:]):
            return f"{len(fields)} fields where the header has {width} columns"
        if any(field.strip() and not name for name, field in zip(self._names, fields, strict=False)):
            return "a value in a column without a name"
        if not all(map(_is_utf8, fields)):
            return "not UTF-8"
        if not self.unnamed and width > 1 and all(map(_same, fields, self._names)):
            return "the header again"
        if any("\0" in field for field in fields):
            return "holds a NUL character"
        return "no input" if given is not None and not fields[given] else None

    def _rows(self) -> Iterator[_Record]:
        """Returns the records below the header."""
        records = self._records()
        if self._dialect.has_header:
            next(records, None)
        return records

    def _records(self) -> Iterator[_Record]:
        dialect = self._dialect
        with open(self._text.path, "rb") as file:
            lines = _Lines(file, dialect.begin, dialect.lines_before)
            reader = csv_reader(lines, dialect.marks)
            while True:
                start, line = lines.end, lines.count + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    # Only one line is given up, even if the reader took more: a quote may never be closed.
                    lines.go_back(start, line)
                    reader = csv_reader(lines, dialect.marks)
                    yield _Record(start, lines.end, [], line, f"not valid CSV ({error})")
                    continue
                if fields is None:
                    return
                # Spreadsheets write only delimiters for rows that were emptied.
                if fields and (len(fields) == 1 or any(fields)):
                    yield _Record(start, lines.end, fields, line, None)


class _Record(NamedTuple):
    """Start and end in bytes, the fields, the first line's number, and the reason if it is no record."""

    start: int
    end: int
    fields: list[str]
    line: int
    damage: str | None


class _Lines:
    """The lines of a file as text, with the current position in bytes."""

    def __init__(self, file, begin: int, before: int) -> None:  # type: ignore[no-untyped-def]
        self._file = file
        self.end = begin
        self.count = before
        file.seek(self.end)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line: bytes = self._file.readline(MAX_FIELD)
        if not line:
            raise StopIteration
        self.end += len(line)
        self.count += 1
        if len(line) == MAX_FIELD and not line.endswith(b"\n"):
            # The rest of the line must not be read as records.
            self.end += skip_line(self._file, MAX_FIELD)
            raise csv.Error(f"a line of more than {MAX_FIELD:,} bytes")
        return line.decode("utf-8", "surrogateescape")

    def go_back(self, start: int, line: int) -> None:
        """Moves back to the end of the line that begins at `start`."""
        self._file.seek(start)
        self.end, self.count = start, line - 1
        with suppress(csv.Error):
            next(self, None)


class _FieldOf:
    """Extracts the bytes of one field from a record."""

    def __init__(self, dialect: Dialect, position: int) -> None:
        self._dialect = dialect
        self._position = position

    def __call__(self, record: bytes) -> bytes:
        # Only line feeds end a line here, as in the first pass; splitlines accepts many more characters.
        lines = io.StringIO(record.decode("utf-8", "surrogateescape"), newline="\n")
        try:
            with _large_fields():
                fields: list[str] = next(csv_reader(lines, self._dialect.marks))
            return fields[self._position].encode("utf-8", "surrogateescape")
        except (csv.Error, StopIteration, IndexError) as error:
            raise ReadFailure("the file has changed since it was listed") from error


class _LargeFields:
    """Raises the limit on field sizes while at least one reader needs it; the limit is the whole process's.

    Readers may overlap and end in any order, so the first one keeps the limit from before and the last one
    restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = self._before = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._readers:
                self._before = csv.field_size_limit(MAX_FIELD)
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
                if not self._readers:
                    csv.field_size_limit(self._before)


_large_fields = _LargeFields()


def _same(field: str, name: str) -> bool:
    return field.strip() == name


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _decodable(text: str) -> str:
    """Returns text that UTF-8 can hold: bytes that were not UTF-8 become escapes."""
    return (
        text
        if _is_utf8(text)
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
