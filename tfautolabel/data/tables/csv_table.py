"""CSV and TSV files, of which only the records' places are kept."""

from __future__ import annotations

import csv
import io
import os
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from tfautolabel.data.encoded_text import other_encoding
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.tables.contract import Columns, RowCollector, Scan
from tfautolabel.data.tables.places import PlacedReader, skip_line

DELIMITERS = (",", "\t", ";", "|")
MAX_FIELD = 64 * 1024 * 1024
"""Characters in a field, and bytes in a line; beyond it a quote was most likely never closed."""


class CsvTable:
    """A file of delimited records below a header.

    Args:
        path: the file.

    Raises:
        ValueError: If it is not UTF-8 or has no header.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = self.name = os.fspath(path)
        with open(self.path, "rb") as file:
            start = file.read(1 << 16)
        if (encoding := other_encoding(start)) is not None:
            raise ValueError(f"{self.name}: must be UTF-8. Received: {encoding}; save it as UTF-8")
        header_line = start.split(b"\n", 1)[0]
        self.delimiter = max(DELIMITERS, key=lambda mark: header_line.count(mark.encode()))
        with _large_fields():
            header = next(self._records(), None)
        if header is not None and header.damage is not None:
            raise ValueError(f"{self.name}: the first line must name the columns. Received: {header.damage}")
        if header is None or not any(name.strip() for name in header.fields):
            raise ValueError(f"{self.name}: the first line must name the columns. Received: an empty line")
        self.columns = tuple(_decodable(name).strip() for name in header.fields)
        repeated = sorted({name for name in self.columns if self.columns.count(name) > 1})
        if repeated:
            raise ValueError(f"{self.name}: columns must have different names. Received twice: {repeated}")

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """The values of the first rows."""
        rows: list[dict[str, bytes | None]] = []
        with _large_fields():
            for _, _, fields, *_ in self._rows():
                if len(fields) == len(self.columns):
                    values = (field.encode("utf-8", "surrogateescape") for field in fields)
                    rows.append({n: v or None for n, v in zip(self.columns, values, strict=True)})
                if len(rows) == count:
                    break
        return rows

    def scan(self, columns: Columns) -> Scan:
        """Goes through the file once; see `Table.scan`."""
        place = {name: position for position, name in enumerate(self.columns)}
        given, label, name = (None if c is None else place[c] for c in columns[:3])
        collector = RowCollector(self.name, columns)
        starts, lengths = array("q"), array("q")
        with _large_fields():
            for row, (start, end, fields, line, damage) in enumerate(self._rows()):
                reason = damage or self._why_unusable(fields, given)
                own = None if name is None or len(fields) <= name else _decodable(fields[name])
                if reason is not None:
                    collector.reject(row, own, f"line {line}: {reason}")
                    continue
                if name is not None and not own:
                    collector.reject_nameless(row, f"line {line}")
                    continue
                collector.keep(row, None if label is None else _decodable(fields[label]), own)
                starts.append(start)
                lengths.append(end - start)
        reader = PlacedReader(self.path, starts, lengths, _FieldOf(self.delimiter, given or 0))
        return collector.finish(reader)

    def _why_unusable(self, fields: list[str], given: int | None) -> str | None:
        if len(fields) != len(self.columns):
            return f"{len(fields)} fields where the header has {len(self.columns)} columns"
        if not all(map(_is_utf8, fields)):
            return "not UTF-8"
        return "no input" if given is not None and not fields[given] else None

    def _rows(self) -> Iterator[_Record]:
        """The records below the header."""
        records = self._records()
        next(records, None)
        return records

    def _records(self) -> Iterator[_Record]:
        with open(self.path, "rb") as file:
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            while True:
                start, line = lines.end, lines.count + 1
                try:
                    fields = next(reader, None)
                except csv.Error as error:
                    # One line is given up, whatever the reader took after it: a quote may never be closed.
                    lines.go_back(start, line)
                    reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
                    yield _Record(start, lines.end, [], line, f"not valid CSV ({error})")
                    continue
                if fields is None:
                    return
                if fields:
                    yield _Record(start, lines.end, fields, line, None)


class _Record(NamedTuple):
    """Start and end in bytes, the fields, the first line's number, and why it is no record, or None."""

    start: int
    end: int
    fields: list[str]
    line: int
    damage: str | None


class _Lines:
    """The lines of a file as text, with the place in bytes that has been reached."""

    def __init__(self, file) -> None:  # type: ignore[no-untyped-def]
        self._file = file
        self.end = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
        self.count = 0
        file.seek(self.end)

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_FIELD)
        if not line:
            raise StopIteration
        self.end += len(line)
        self.count += 1
        if len(line) == MAX_FIELD and not line.endswith(b"\n"):
            # Its rest must not be taken for records of their own.
            self.end += skip_line(self._file, MAX_FIELD)
            raise csv.Error(f"a line of more than {MAX_FIELD:,} bytes")
        return line.decode("utf-8", "surrogateescape")

    def go_back(self, start: int, line: int) -> None:
        """To behind the line that begins at `start`."""
        self._file.seek(start)
        self.end, self.count = start, line - 1
        with suppress(csv.Error):
            next(self, None)


class _FieldOf:
    """The bytes of one field of a record."""

    def __init__(self, delimiter: str, position: int) -> None:
        self._delimiter = delimiter
        self._position = position

    def __call__(self, record: bytes) -> bytes:
        # Only line feeds end a line here, as when the file was listed: splitlines knows many more.
        lines = io.StringIO(record.decode("utf-8", "surrogateescape"), newline="\n")
        try:
            with _large_fields():
                fields = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
            return fields[self._position].encode("utf-8", "surrogateescape")
        except (csv.Error, StopIteration, IndexError) as error:
            raise ReadFailure("the file has changed since it was listed") from error


@contextmanager
def _large_fields() -> Iterator[None]:
    """The limit on fields belongs to the whole process; it is put back."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\udc80" <= character <= "\udcff" for character in text)


def _decodable(text: str) -> str:
    """Text that UTF-8 can hold: bytes that were not UTF-8 become escapes."""
    return (
        text
        if _is_utf8(text)
        else text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    )
