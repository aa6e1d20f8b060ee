"""Writes labels, and what was set aside, in formats that other programs read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from tfautolabel.data.atomic import atomic_write
from tfautolabel.labels import Labels, Rejected

COLUMNS = ("id", "label", "confidence", "accepted", "second_label", "second_confidence", "origin")

ROWS_AT_ONCE = 65_536
"""Rows turned into Python values at a time: enough for speed, little in memory."""


class LabelsWriter:
    """Writes labels part by part, in a format that the file's ending names; a context manager.

    The columns are `id`, `label` (the most probable class, whether accepted or not), `confidence`,
    `accepted`, `second_label`, `second_confidence` (empty and 0 if there is one class only) and `origin`.
    CSV and JSONL round confidences to 6 decimals. The file appears whole at the end of the block, and not at
    all if the block ends in an exception.

    Args:
        path: ends in .csv, .jsonl or .parquet; missing folders are made.

    Raises:
        ValueError: If the ending is another.
        OSError: If the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        ending = Path(path).suffix.lower()
        if ending not in WRITERS:
            raise ValueError(
                f"labels are written to a file that ends in {', '.join(WRITERS)}. Received: path={path}"
            )
        self._opened = WRITERS[ending](path)
        self._write: Callable[[Labels], None] | None = None

    def __enter__(self) -> LabelsWriter:
        self._write = self._opened.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._write = None
        self._opened.__exit__(*exception)

    def write(self, labels: Labels) -> None:
        """Adds one row for each label.

        Raises:
            RuntimeError: If the writer is not open.
            OSError: If the file cannot be written.
        """
        if self._write is None:
            raise RuntimeError("a LabelsWriter is open inside its `with` block only")
        self._write(labels)


def write_labels(labels: Labels, path: str | os.PathLike[str]) -> None:
    """Writes one row for each label, in a format that the file's ending names; see `LabelsWriter`.

    Args:
        labels: n labels.
        path: ends in .csv, .jsonl or .parquet; missing folders are made.

    Raises:
        ValueError: If the ending is another.
        OSError: If the file cannot be written.
    """
    with LabelsWriter(path) as writer:
        writer.write(labels)


def write_rejected(rejected: Iterable[Rejected], path: str | os.PathLike[str]) -> None:
    """Writes what was set aside as CSV with the columns `id` and `reason`, in the order given.

    Args:
        rejected: any number of rows; with none, the file holds the header only.
        path: the file; missing folders are made.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_write(path) as file:
        writer = csv.writer(_UnixLines(file))
        writer.writerow(Rejected._fields)
        writer.writerows((_utf8(item.id), _utf8(item.reason)) for item in rejected)


class _UnixLines:
    r"""Ends csv's rows with "\n".

    Asking csv itself for that end would make it (before Python 3.13) leave a field that holds "\r" without
    quotes, and such a row cannot be read again.
    """

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _utf8(text: str) -> str:
    """Text that UTF-8 can hold: lone surrogates, from names in other encodings, become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _columns(labels: Labels) -> Iterator[tuple[Any, ...]]:
    """Yields the columns in the order of `COLUMNS`, some rows at a time."""
    for start in range(0, len(labels), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        arrays = ("ids", "class_ids", "confidence", "probabilities", "origin")
        some = replace(labels, **{name: getattr(labels, name)[rows] for name in arrays})
        second_label, second_confidence = some.runner_up
        yield (
            [_utf8(name) for name in some.ids.tolist()],
            [_utf8(name) for name in some.predicted],
            some.confidence,
            some.accepted,
            [_utf8(name) for name in second_label],
            second_confidence,
            some.origin.tolist(),
        )


@contextmanager
def _csv(path: str | os.PathLike[str]) -> Iterator[Callable[[Labels], None]]:
    with atomic_write(path) as file:
        writer = csv.writer(_UnixLines(file))
        writer.writerow(COLUMNS)

        def write(labels: Labels) -> None:
            for ids, label, confidence, accepted, second_label, second_confidence, origin in _columns(labels):
                columns = (
                    ids,
                    label,
                    [f"{value:.6f}" for value in confidence.tolist()],
                    ["true" if value else "false" for value in accepted.tolist()],
                    second_label,
                    [f"{value:.6f}" for value in second_confidence.tolist()],
                    origin,
                )
                writer.writerows(zip(*columns, strict=True))

        yield write


@contextmanager
def _jsonl(path: str | os.PathLike[str]) -> Iterator[Callable[[Labels], None]]:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with atomic_write(path) as file:

        def write(labels: Labels) -> None:
            for ids, label, confidence, accepted, second_label, second_confidence, origin in _columns(labels):
                columns = (
                    ids,
                    label,
                    [round(value, 6) for value in confidence.tolist()],
                    accepted.tolist(),
                    second_label,
                    [round(value, 6) for value in second_confidence.tolist()],
                    origin,
                )
                rows = zip(*columns, strict=True)
                file.writelines(encode(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)

        yield write


@contextmanager
def _parquet(path: str | os.PathLike[str]) -> Iterator[Callable[[Labels], None]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, real = pa.string(), pa.float32()
    types = (text, text, real, pa.bool_(), text, real, text)
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    repetitive = ["label", "second_label", "origin"]
    with (
        atomic_write(path, "wb") as file,
        pq.ParquetWriter(file, schema, use_dictionary=repetitive) as writer,
    ):

        def write(labels: Labels) -> None:
            for columns in _columns(labels):
                arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield write


WRITERS: dict[str, Callable[..., AbstractContextManager[Callable[[Labels], None]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}
