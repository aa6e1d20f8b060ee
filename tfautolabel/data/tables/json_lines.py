"""JSONL files (one JSON object per line); only the positions of the lines are kept in memory."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from tfautolabel.data.label_texts import label_text
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.tables.contract import Columns, Record, RowCollector, Scan, checked
from tfautolabel.data.tables.places import PlacedReader, Places, skip_line
from tfautolabel.data.tables.prodigy import NOTE, is_answered, with_answer
from tfautolabel.data.tables.text_file import TextFile, open_text

MAX_LINE = 256 * 1024 * 1024
_HEADER_ROWS = 20
_TOO_LONG = b"too long"
"""Stands for a line longer than `MAX_LINE`."""


class JsonLinesTable:
    """A file with a JSON object in each line; the columns are the keys of the first objects.

    Args:
        path: the file, or its text if that was read already.
        row_word: the word for a row in messages: "line", or "item" if the user has no lines.

    Raises:
        ValueError: If its encoding cannot be detected, or none of the first lines is an object.
    """

    def __init__(self, path: str | os.PathLike[str] | TextFile, row_word: str = "line") -> None:
        self._text = path if isinstance(path, TextFile) else open_text(os.fspath(path))
        self.name, self.notes = self._text.name, self._text.notes
        self._row_word = row_word
        self._first = self._objects(_HEADER_ROWS)
        self.columns = tuple(dict.fromkeys(key for row in self._first for key in row))
        if not self.columns:
            raise ValueError(
                f"{self.name}: each {row_word} must be a JSON object. Received: none in the first {row_word}s"
            )
        if any(map(is_answered, self._first)):
            self.notes += (f"{self.name}: {NOTE}",)
        self.id_hint: str | None = None
        self.unnamed = all(re.fullmatch(r"column \d+", name) for name in self.columns)

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows."""
        return [{key: input_bytes(row.get(key)) for key in self.columns} for row in self._objects(count)]

    def scan(self, columns: Columns) -> Scan:
        """Passes over the file once; see `Table.scan`."""
        collector = RowCollector(self.name, columns)
        places = Places()
        for row, (start, line, number) in enumerate(self._lines()):
            value, reason = _parsed(line)
            if value is not None and input_bytes(value.get(columns.input)) is None:
                reason = f"no {columns.input!r}"
            name = None if value is None or columns.id is None else label_text(value.get(columns.id))
            if value is None or reason is not None:
                collector.set_aside(row, name, f"{self._row_word} {number}: {reason}")
                continue
            if columns.id is not None and not name:
                collector.set_nameless_aside(row, f"{self._row_word} {number}")
                continue
            collector.keep(row, label_text(value.get(columns.label)) if columns.label else None, name)
            places.append(start, len(line))
        take, lasts = _KeyOf(columns.input), self._text.copy is None
        return collector.finish(PlacedReader(self._text.path, places, take, lasts))

    def records(self) -> Iterator[Record]:
        """Yields each row's values, or why it has none."""
        for _, line, number in self._lines():
            value, reason = _parsed(line)
            yield Record(f"{self._row_word} {number}", value, reason)

    def _lines(self) -> Iterator[tuple[int, bytes, int]]:
        """Yields position, content and number of each line that is not blank."""
        with open(self._text.path, "rb") as file:
            place = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
            file.seek(place)
            number = 0
            while line := file.readline(MAX_LINE):
                number += 1
                # The rest of a line that is too long must not be read as further lines.
                whole = len(line) < MAX_LINE or line.endswith(b"\n")
                rest = 0 if whole else skip_line(file, MAX_LINE)
                if line.strip():
                    yield place, line if whole else _TOO_LONG, number
                place += len(line) + rest

    def _objects(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _, line, number in self._lines():
            value, _ = _parsed(line)
            if value is not None:
                found.append(value)
            if len(found) == count or number > 10 * count + 100:
                break
        return found


class _KeyOf:
    """Extracts the bytes under one key of an object."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, line: bytes) -> bytes:
        value, _ = _parsed(line)
        if value is None:
            raise ReadFailure("the file has changed since it was listed")
        return checked(input_bytes(value.get(self._key)))


def _parsed(line: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """Returns the object in a line, or None and the reason why there is none."""
    if line is _TOO_LONG:
        return None, f"more than {MAX_LINE:,} bytes"
    try:
        # The lines of an array without its brackets end in commas.
        value = json.loads(line.decode("utf-8").rstrip().removesuffix(","))
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 (byte 0x{line[error.start]:02x})"
    except (ValueError, RecursionError) as error:
        return None, f"not valid JSON ({str(error)[:100]})"
    return (
        (with_answer(value), None)
        if isinstance(value, dict)
        else (None, f"not an object but {type(value).__name__}")
    )


def input_bytes(value: object) -> bytes | None:
    """Converts a JSON input to bytes: text, a number as text, or `{"bytes": base64}`; else None."""
    if isinstance(value, dict) and isinstance(value.get("bytes"), str):
        try:
            return base64.b64decode(value["bytes"], validate=True)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value).encode("utf-8", "replace") or None
