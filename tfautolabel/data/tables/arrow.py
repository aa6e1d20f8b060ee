"""Parquet files and frames through Apache Arrow; only a few slices of a file are in memory at a time."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tfautolabel._errors import first_line
from tfautolabel.data.label_texts import label_text
from tfautolabel.data.places import Place, patiently
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.row_runs import RowRuns, Rows
from tfautolabel.data.store_errors import OTHER, kind_of, told
from tfautolabel.data.tables.contract import Columns, Record, RowCollector, Scan, checked
from tfautolabel.data.tables.written_index import written_index

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_ROWS = 4096
"""How many rows are decoded at a time."""

KEPT_SLICES = 4
"""How many slices stay decoded, for rows that are read nearly in order."""


class ParquetTable:
    """A Parquet file.

    Args:
        path: the file.

    Raises:
        ValueError: If it is not a Parquet file.
    """

    def __init__(self, path: str | os.PathLike[str] | Place) -> None:
        self.path = path if isinstance(path, Place) else os.fspath(path)
        self.name = str(self.path)
        self._file = _open(self.path)
        self._version = self.path.version() if isinstance(self.path, Place) else None
        self.unnamed = False
        self.notes: tuple[str, ...] = ()
        schema = self._file.schema_arrow
        index = written_index(schema.metadata, schema.names, self._file.metadata.num_rows)
        self.id_hint = None if index is None else index.name
        self._numbers = None if index is None else index.numbers
        self.columns = (*schema.names, *([index.name] if index and index.numbers is not None else ()))
        self.types = dict(zip(schema.names, schema.types, strict=True))

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows."""
        with _said_of(self.path):
            batch = next(self._file.iter_batches(batch_size=count), None)
            return [] if batch is None else _sample(self._with_index(batch, 0))

    def records(self) -> Iterator[Record]:
        """Yields each row's values."""
        number = 0
        with _said_of(self.path):
            for batch in self._file.iter_batches(batch_size=SLICE_ROWS):
                for values in self._with_index(batch, number).to_pylist():
                    yield Record(f"row {number}", values, None)
                    number += 1

    def scan(self, columns: Columns) -> Scan:
        """Reads the columns of labels and names once; see `Table.scan`."""
        if self._numbers is not None and self.id_hint in columns[:2]:
            raise ValueError(f"{self.name}: the index {self.id_hint!r} can only name rows")
        wanted = [name for name in (columns.label, columns.id) if name is not None]
        collector = RowCollector(self.name, columns)
        if wanted:
            parts: Any = self._batches(list(dict.fromkeys(wanted)))
        else:
            counts = range(self._file.metadata.num_row_groups)
            parts = (self._file.metadata.row_group(number).num_rows for number in counts)
        with _said_of(self.path):
            _collect(collector, parts, columns)
        return collector.finish(ParquetReader(self.path, columns.input, collector.rows, self._version))

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        """Yields some columns, piece by piece."""
        place = 0
        stored = [name for name in columns if name != self.id_hint or self._numbers is None]
        # Without a column, Arrow would give no rows.
        for batch in self._file.iter_batches(batch_size=65_536, columns=stored or self.columns[:1]):
            yield self._with_index(batch, place)
            place += batch.num_rows

    def _with_index(self, batch: Any, place: int) -> Any:
        """Adds the index that only the metadata hold, for rows from `place` on."""
        import pyarrow as pa

        if self._numbers is None:
            return batch
        numbers = pa.array(self._numbers[place : place + batch.num_rows], pa.int64())
        return pa.RecordBatch.from_arrays(
            [*batch.columns, numbers], names=[*batch.schema.names, str(self.id_hint)]
        )


class FrameTable:
    """An Arrow table in memory, also one that was made from a frame of pandas, Polars or Hugging Face.

    Args:
        table: the Arrow table.
        name: its name for messages.
        class_names: for each column of label numbers, the names of the labels.
        unusable: the columns that cannot be read, with the reasons.
        id_hint: the column that names the rows if no other column does.
    """

    def __init__(
        self,
        table: pa.Table,
        name: str,
        class_names: dict[str, list[str]] | None = None,
        unusable: dict[str, str] | None = None,
        id_hint: str | None = None,
    ) -> None:
        self.name = name
        self.unnamed = False
        self.notes: tuple[str, ...] = ()
        self.columns = tuple(table.column_names)
        self.types = dict(zip(table.column_names, table.schema.types, strict=True))
        self._table = table
        self._class_names = class_names or {}
        self._unusable = unusable or {}
        self.id_hint = id_hint

    def sample(self, count: int) -> list[dict[str, bytes | None]]:
        """Returns the values of the first rows."""
        return _sample(self._table.slice(0, count))

    def records(self) -> Iterator[Record]:
        """Yields each row's values."""
        for number, values in enumerate(self._table.to_pylist()):
            yield Record(f"row {number}", values, None)

    def scan(self, columns: Columns) -> Scan:
        """Reads the columns of labels and names once; see `Table.scan`."""
        for column in columns[:3]:
            if column in self._unusable:
                raise ValueError(f"{self.name}: column {column!r} {self._unusable[column]}")
        collector = RowCollector(self.name, columns)
        names = self._class_names.get(columns.label or "")
        _collect(collector, self._table.to_batches(max_chunksize=65_536), columns, names)
        return collector.finish(_FrameReader(self._table.column(columns.input), collector.rows))


class ParquetReader:
    """Reads one column of a Parquet file, slice by slice; fastest in ascending order.

    Args:
        path: the file.
        column: the column's name.
        rows: (n,) int64, ascending: the rows of the file to read.
        version: `Place.version` of the file whose rows these are; None for a local file.
    """

    def __init__(
        self, path: str | Place, column: str, rows: Rows, version: dict[Any, Any] | None = None
    ) -> None:
        self._file = _open(path)
        self._version = version
        self._path = path
        self._column = column
        self._rows = rows
        groups = [
            self._file.metadata.row_group(number).num_rows
            for number in range(self._file.metadata.num_row_groups)
        ]
        self._ends = np.cumsum(groups, dtype=np.int64)
        self._slices: OrderedDict[tuple[int, int], pa.Array] = OrderedDict()
        self._reading: tuple[int, int, Iterator[Any]] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, row: int) -> bytes:
        """Reads the input of one row.

        Raises:
            ReadFailure: If the row has no input, or the file cannot be read.
        """
        value = self.read_many(np.array([row]))[0]
        if isinstance(value, ReadFailure):
            raise value
        return value

    def read_many(self, rows: np.ndarray) -> list[bytes | ReadFailure]:
        """Reads the inputs of (m,) ascending rows."""
        with self._lock:
            return [self._value(int(row)) for row in self._rows[rows]]

    def only(self, rows: np.ndarray) -> ParquetReader:
        """Returns a reader of some of the rows; see `Narrows`."""
        chosen = self._rows[rows]
        # A part that is sent to another process leads to its rows by their first and last number.
        runs = RowRuns.of(chosen) if (np.diff(chosen) > 0).all() else chosen
        path = self._path if isinstance(self._path, Place) else os.path.abspath(self._path)
        return ParquetReader(path, self._column, runs, self._version)

    def __reduce__(self) -> tuple[Callable[..., ParquetReader], tuple[object, ...]]:
        return ParquetReader, (self._path, self._column, self._rows, self._version)

    def _value(self, row: int) -> bytes | ReadFailure:
        group = int(np.searchsorted(self._ends, row, side="right"))
        inside = row - (int(self._ends[group - 1]) if group else 0)
        try:
            values = self._fetched(group, inside // SLICE_ROWS)
            return checked(arrow_bytes(values[inside % SLICE_ROWS]))
        except ReadFailure as failure:
            return failure
        except (OSError, ValueError, StopIteration, IndexError) as error:
            if isinstance(self._path, Place) and isinstance(error, OSError):
                raise
            return ReadFailure(f"the file cannot be read: {str(error).partition(chr(10))[0]}")

    def _fetched(self, group: int, number: int) -> pa.Array:
        """Returns one slice; a file in a store is opened anew after a failure of the network."""
        if not isinstance(self._path, Place) or (group, number) in self._slices:
            return self._slice(group, number)
        place = self._path

        def attempt() -> tuple[pa.Array, Any]:
            try:
                if self._file is None:
                    self._file = _open(place)
                return self._slice(group, number), place.version()
            except OSError as error:
                self._file = self._reading = None
                if kind_of(error) == OTHER:  # what was fetched is damaged
                    raise ValueError(first_line(error)) from error
                raise

        values, now = patiently(attempt, place.address)
        if now != self._version:
            raise ConnectionError(f"{place} was replaced while it was read: run the command again")
        return values

    def _slice(self, group: int, number: int) -> pa.Array:
        """Returns the decoded values of one slice of a row group; earlier slices are skipped."""
        if (group, number) in self._slices:
            self._slices.move_to_end((group, number))
            return self._slices[group, number]
        if self._reading is None or self._reading[0] != group or self._reading[1] > number:
            batches = self._file.iter_batches(
                batch_size=SLICE_ROWS, row_groups=[group], columns=[self._column], use_threads=False
            )
            self._reading = group, 0, batches
        _, position, batches = self._reading
        for passed in range(position, number + 1):
            values = next(batches).column(0)
            self._reading = group, passed + 1, batches
        self._slices[group, number] = values
        if len(self._slices) > KEPT_SLICES:
            self._slices.popitem(last=False)
        return values


class _FrameReader:
    """Reads one column of an Arrow table.

    Args:
        values: the column.
        rows: (n,) int64, the rows to read.
    """

    def __init__(self, values: pa.ChunkedArray, rows: Rows) -> None:
        self._values = values
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, row: int) -> bytes:
        """Reads the input of one row.

        Raises:
            ReadFailure: If the row has no input.
        """
        return checked(arrow_bytes(self._values[int(self._rows[row])]))


def arrow_bytes(scalar: Any) -> bytes | None:
    """Returns an Arrow value as bytes: binary, text as UTF-8, or a struct's field `bytes`; else None."""
    value = scalar.as_py()
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value).encode()
    return value if isinstance(value, bytes) and value else None


PARQUET = b"PAR1"
"""What a Parquet file begins with."""


def begins_with(place: Place, magic: bytes) -> bool:
    """Returns whether a file in a store begins with some bytes, which alone are fetched.

    Raises:
        FileNotFoundError: If there is no such file.
        OSError: If it cannot be read.
    """

    def attempt() -> bool:
        with place.filesystem.open_input_file(place.path) as file:
            return bool(file.read(min(len(magic), file.size())) == magic)

    return patiently(attempt, place.address)


def _open(path: str | Place) -> Any:
    import pyarrow.parquet as pq

    with _said_of(path):
        source = path.open() if isinstance(path, Place) else path
        # Without pre-buffering, so that a large row group is never in memory as a whole.
        return pq.ParquetFile(source, pre_buffer=False, buffer_size=1 << 20)


@contextmanager
def _said_of(path: str | Place) -> Iterator[None]:
    """Turns errors of Arrow into one sentence that names the file."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if isinstance(path, Place) and kind_of(error) != OTHER:
            raise told(error, path.address, "read") from error
        raise ValueError(f"{path}: is not a Parquet file that can be read ({first_line(error)})") from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is not a Parquet file that can be read ({first_line(error)})") from error


def _collect(
    collector: RowCollector, parts: Any, columns: Columns, class_names: list[str] | None = None
) -> None:
    """Collects every row with a usable name."""
    total = 0
    for part in parts:
        count = part if isinstance(part, int) else part.num_rows
        if columns.label is None and columns.id is None:
            collector.keep_unnamed(total, count)
            total += count
            continue
        empty = [None] * count
        labels = empty if columns.label is None else part.column(columns.label).to_pylist()
        names = empty if columns.id is None else part.column(columns.id).to_pylist()
        for row, (label, name) in enumerate(zip(labels, names, strict=True)):
            if class_names is not None and isinstance(label, int):
                label = class_names[label] if 0 <= label < len(class_names) else None
            own = label_text(name)
            if columns.id is not None and not own:
                collector.set_nameless_aside(total + row, f"row {total + row}")
            else:
                collector.keep(total + row, label_text(label), own)
        total += count


def _sample(rows: Any) -> list[dict[str, bytes | None]]:
    columns = rows.schema.names
    return [
        {name: arrow_bytes(rows.column(position)[row]) for position, name in enumerate(columns)}
        for row in range(rows.num_rows)
    ]
