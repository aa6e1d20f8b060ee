"""Converts JSON that is not JSONL: arrays, objects of columns, and exports of labelling tools."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from tfautolabel.data.tables.exports import is_header, rows_of_document, rows_of_item
from tfautolabel.data.tables.label_studio import Tasks
from tfautolabel.data.tables.text_file import TemporaryCopy, TextFile

CHUNK = 1 << 20
MAX_DOCUMENT = 1 << 30
"""The most bytes of an object, which is read as a whole; arrays are read item by item."""

MAX_ITEM = 256 * 1024 * 1024


def is_document(path: str) -> bool:
    """Returns whether a file that begins with a bracket is one JSON value, and not one value per line."""
    with open(path, "rb") as file:
        head = file.read(CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()
    first, _, rest = head.partition(b"\n")
    whole = len(head) < CHUNK - 3
    try:
        value = json.loads(first)
    except (ValueError, RecursionError):
        # Either the first line of JSONL is damaged, or the value goes on: the next line shows which.
        following = next((line.strip() for line in rest.split(b"\n") if line.strip()), b"")
        return not (first.strip().startswith(b"{") and following.startswith(b"{") and first.strip() != b"{")
    if rest.strip() or not whole:
        return False
    return isinstance(value, (list, dict))


def as_json_lines(text: TextFile) -> TextFile:
    """Makes a temporary copy with one object per line.

    Args:
        text: the file.

    Raises:
        ValueError: If it is not valid JSON, or no known form of a table.
    """
    copy = TemporaryCopy(".jsonl")
    tasks = Tasks()
    encode = json.JSONEncoder(ensure_ascii=False).encode
    try:
        for row in _rows(text, tasks):
            copy.write(encode(row).encode("utf-8", "replace") + b"\n")
    except (ValueError, RecursionError) as error:
        if str(error).startswith(text.name):
            raise
        raise ValueError(f"{text.name}: is not valid JSON ({str(error)[:200]})") from error
    copy.finish()
    return TextFile(copy.name, text.name, (*text.notes, *tasks.notes(text.name)), copy)


def _rows(text: TextFile, tasks: Tasks) -> Iterator[Any]:
    with open(text.path, encoding="utf-8-sig", errors="replace") as file:
        head = file.read(CHUNK).lstrip()
    if head.startswith("["):
        names: list[str] | None = None
        for number, item in enumerate(_items(text)):
            if number == 0 and is_header(item):
                names = item
            elif names is not None and isinstance(item, list):
                yield dict(zip(names, item, strict=False))
            else:
                yield from rows_of_item(item, tasks)
        return
    if os.path.getsize(text.path) > MAX_DOCUMENT:
        raise ValueError(
            f"{text.name}: one JSON object must be smaller than {MAX_DOCUMENT:,} bytes, or be an array of "
            f"rows or "
            f"JSONL. Received: {os.path.getsize(text.path):,} bytes"
        )
    with open(text.path, encoding="utf-8-sig", errors="replace") as file:
        document = json.load(file, object_pairs_hook=_once)
    yield from rows_of_document(document, text.name, tasks)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Makes an object and refuses repeated keys; JSON allows them, but readers forget the first value.

    Raises:
        ValueError: If a key has two values.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        for key, value in pairs:
            if found[key] != value:
                raise ValueError(f"{key!r} has two values, {value!r} and {found[key]!r}")
    return found


def _items(text: TextFile) -> Iterator[Any]:
    """Yields the items of an array, with little of the file in memory."""
    decoder = json.JSONDecoder()
    with open(text.path, encoding="utf-8-sig", errors="replace") as file:
        window = file.read(CHUNK).lstrip()[1:]
        number = 0
        while True:
            window = window.lstrip()
            if not window:
                more = file.read(CHUNK)
                if not more:
                    raise ValueError(f"{text.name}: the JSON array ends within item {number}")
                window += more
                continue
            if window[0] == "]":
                break
            if window[0] == ",":
                window = window[1:]
                continue
            try:
                value, end = decoder.raw_decode(window)
                # A number at the end of the data read so far may continue.
                complete = end < len(window)
            except json.JSONDecodeError:
                value, end, complete = None, 0, False
            if not complete:
                more = file.read(max(CHUNK, len(window)))
                if more and len(window) < MAX_ITEM:
                    window += more
                    continue
                if not end:
                    raise ValueError(f"{text.name}: item {number} of the JSON array is not valid JSON")
            yield value
            number += 1
            window = window[end:]
