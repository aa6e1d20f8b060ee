"""Writes labels, and the list of what was set aside, in formats that other programs read."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from tfautolabel.data.addresses import place_of
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.places import Place
from tfautolabel.data.workbooks import write_workbook
from tfautolabel.labels import Labels, Unreadable

COLUMNS = (
    "id", "label", "confidence", "accepted", "second_label", "second_confidence", "origin", "reason",
    "ood_score",
)  # fmt: skip

Columns = tuple[list[Any], ...]

ROWS_AT_ONCE = 65_536
"""Rows converted to Python values at a time: enough for speed, and little memory."""


class LabelsWriter:
    """Writes labels part by part, in the format of the file's ending; a context manager.

    The columns are `id`, `label` (the most probable class, accepted or not), `confidence`, `accepted`,
    `second_label` and `second_confidence` (empty and 0 if there is only one class), `origin`, `reason` (why
    the label is not accepted; empty if it is) and `ood_score` (empty or null if there is none). CSV, JSONL
    and XLSX round numbers to 6 decimals. The file appears whole at the end of the block, and not at all after
    an exception.

    Args:
        path: ends in .csv, .jsonl, .parquet or .xlsx; missing folders are made. An address such as
            "s3://bucket/labels.parquet" is written at the end, in one step.
        metadata: names and texts to store in a Parquet file. They are read when the file is closed, so they
            may hold what is known only then.

    Raises:
        ValueError: If the ending is another one.
        OSError: If the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str] | Place, metadata: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        place = place_of(path)
        ending = place.suffix.lower()
        if ending not in WRITERS:
            raise ValueError(
                f"labels are written to a file that ends in {', '.join(WRITERS)}. Received: path={place}"
            )
        self._opened = WRITERS[ending](place, metadata)
        self._write: Callable[[Columns], None] | None = None

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
        for columns in columns_of(labels):
            self.write_columns(columns)

    def write_columns(self, columns: Columns) -> None:
        """Adds rows that were read from a file of this kind.

        Args:
            columns: lists of plain values in the order of `COLUMNS`, all of equal length.

        Raises:
            RuntimeError: If the writer is not open.
            OSError: If the file cannot be written.
        """
        if self._write is None:
            raise RuntimeError("a LabelsWriter is open inside its `with` block only")
        self._write(columns)


def write_labels(labels: Labels, path: str | os.PathLike[str] | Place) -> None:
    """Writes one row for each label, in the format of the file's ending; see `LabelsWriter`.

    Args:
        labels: n labels.
        path: ends in .csv, .jsonl, .parquet or .xlsx; missing folders are made.

    Raises:
        ValueError: If the ending is another one.
        OSError: If the file cannot be written.
    """
    with LabelsWriter(path) as writer:
        writer.write(labels)


def write_unreadable(unreadable: Iterable[Unreadable], path: str | os.PathLike[str] | Place) -> None:
    """Writes what was set aside as CSV with the columns `id` and `reason`, in the given order.

    Args:
        unreadable: any number of rows; without rows, the file holds only the header.
        path: the file; missing folders are made.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_write(place_of(path)) as file:
        writer = unix_csv(file)
        writer.writerow(Unreadable._fields)
        writer.writerows((as_utf8(item.id), as_utf8(item.reason)) for item in unreadable)


def unix_csv(file: TextIO) -> Any:
    r"""Returns a `csv.writer` whose rows end with "\n" and can always be read again."""
    return csv.writer(_UnixLines(file))


class _UnixLines:
    r"""Ends csv's rows with "\n".

    If csv itself wrote these line ends, it would (before Python 3.13) not quote a field that holds "\r", and
    such a row cannot be read again.
    """

    def __init__(self, file: TextIO):
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def as_utf8(text: str) -> str:
    """Returns text that UTF-8 can hold: lone surrogates from names in other encodings become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def columns_of(labels: Labels) -> Iterator[Columns]:
    """Yields the columns in the order of `COLUMNS`, some rows at a time."""
    for start in range(0, len(labels), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        arrays = ("ids", "class_ids", "confidence", "probabilities", "origin", "reason", "ood_score")
        some = replace(labels, **{name: getattr(labels, name)[rows] for name in arrays})
        second_label, second_confidence = some.runner_up
        yield (
            [as_utf8(name) for name in some.ids.tolist()],
            [as_utf8(name) for name in some.predicted],
            some.confidence.tolist(),
            some.accepted.tolist(),
            [as_utf8(name) for name in second_label],
            second_confidence.tolist(),
            some.origin.tolist(),
            some.reason.tolist(),
            [None if math.isnan(value) else value for value in some.ood_score.tolist()],
        )


def _mapped(columns: Columns, real: Callable[[float | None], Any], flag: Callable[[bool], Any]) -> Columns:
    """Returns the columns with numbers and truth values converted for a format."""
    how = {"confidence": real, "second_confidence": real, "ood_score": real, "accepted": flag}
    return tuple(
        [how[name](value) for value in column] if name in how else column
        for name, column in zip(COLUMNS, columns, strict=True)
    )


@contextmanager
def _csv(path: Path | Place, _: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    with atomic_write(path) as file:
        writer = unix_csv(file)
        writer.writerow(COLUMNS)

        def write(columns: Columns) -> None:
            words = _mapped(
                columns,
                lambda value: "" if value is None else f"{value:.6f}",
                lambda value: "true" if value else "false",
            )
            writer.writerows(zip(*words, strict=True))

        yield write


@contextmanager
def _jsonl(path: Path | Place, _: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    with atomic_write(path) as file:

        def write(columns: Columns) -> None:
            plain = _mapped(columns, lambda value: None if value is None else round(value, 6), bool)
            rows = zip(*plain, strict=True)
            file.writelines(encode(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows)

        yield write


@contextmanager
def _parquet(path: Path | Place, metadata: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    import pyarrow.parquet as pq

    schema = parquet_schema()
    repetitive = ["label", "second_label", "origin", "reason"]
    with (
        atomic_write(path, "wb") as file,
        pq.ParquetWriter(file, schema, use_dictionary=repetitive) as writer,
    ):
        yield lambda columns: writer.write_table(parquet_table(columns, schema))
        if metadata:
            writer.add_key_value_metadata(dict(metadata))


def parquet_schema() -> Any:
    """Returns the Arrow schema of `COLUMNS` for Parquet."""
    import pyarrow as pa

    text, real = pa.string(), pa.float32()
    types = (text, text, real, pa.bool_(), text, real, text, text, real)
    return pa.schema(list(zip(COLUMNS, types, strict=True)))


def parquet_table(columns: Columns, schema: Any) -> Any:
    """Returns columns of plain values as an Arrow table."""
    import pyarrow as pa

    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


@contextmanager
def _xlsx(path: Path | Place, _: Mapping[str, str]) -> Iterator[Callable[[Columns], None]]:
    with write_workbook(path, COLUMNS) as write_rows:

        def write(columns: Columns) -> None:
            plain = _mapped(columns, lambda value: None if value is None else round(value, 6), bool)
            write_rows(zip(*plain, strict=True))

        yield write


WRITERS: dict[str, Callable[..., AbstractContextManager[Callable[[Columns], None]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
    ".xlsx": _xlsx,
}
