"""Keeps finished labels beside the output, so that a killed job can continue.

A part holds some consecutive rows: their labels, what was set aside, and a digest of their contents. It is a
Parquet file that appears whole. The folder of parts is hidden and belongs to one output. It records the
model, rows and settings that its parts were made from. A part is used only as long as the contents of its
rows have not changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfautolabel._durable import cannot_write
from tfautolabel._lock import alone, together
from tfautolabel.data import Dataset, ReadFailure, Unreadable
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.readers import Opening, Reader, read_rows
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.writers import COLUMNS, Columns, columns_of, parquet_schema, parquet_table
from tfautolabel.jobs.shards import Listing, Shard
from tfautolabel.labels import Labels

_JOB = "job.json"
_LISTING = "listing.json"
_KEY = b"tfautolabel"
_PIECE = 1 << 20
_ROWS_AT_ONCE = 64
"""Rows that are read at a time to check whether they have changed."""


@dataclass(frozen=True)
class Part:
    """What is known of a part without reading its labels.

    Attributes:
        digest: the digest of its rows' contents when they were labelled; see `NotedReader`.
        total: rows with a label, accepted or not.
        accepted: how many of these are accepted.
        reasons: why the others are not accepted, with counts.
        unreadable: what could not be read.
    """

    digest: str
    total: int
    accepted: int
    reasons: Counter[str]
    unreadable: tuple[Unreadable, ...]


class LabelledParts:
    """The finished parts of one job.

    Args:
        output: the file that the parts are for; the folder of parts stands beside it.

    Attributes:
        folder: the folder of parts.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.parent / f".{output.name}.progress"
        self._output = output
        self._busy = f"another process is writing {output}: wait for it, or stop it"

    def begin(self, job: dict[str, str]) -> list[str]:
        """Prepares the folder for a job; parts of another job are removed.

        Args:
            job: name to value of everything that decides the labels, ready for JSON.

        Returns:
            The names of the values that have changed since the removed parts were written.

        Raises:
            OSError: If the folder cannot be written.
        """
        before = self._job()
        if before == job:
            return []
        had_parts = self._has_parts()
        self._clear()
        self._write(_JOB, job)
        return [name for name in job if (before or {}).get(name) != job[name]] if had_parts else []

    def join(self, job: dict[str, str], listing: Listing) -> None:
        """Prepares the folder for one of several jobs that work in it at the same time.

        Args:
            job: as for `begin`.
            listing: what `merge` needs to know of the data.

        Raises:
            ValueError: If the folder holds parts of another job.
            OSError: If the folder cannot be written.
        """
        before = self._job()
        if before != job:
            if self._has_parts():
                changed = [name for name in job if (before or {}).get(name) != job[name]]
                raise ValueError(
                    f"{self.folder} holds labels of a job with another {' and another '.join(changed)}: "
                    "remove it to begin again"
                )
            self._write(_JOB, job)
        self._write(_LISTING, listing._asdict())

    def listing(self) -> Listing:
        """Returns what the jobs have written of the data.

        Raises:
            ValueError: If no job with a shard has begun here.
        """
        try:
            found = Listing(**json.loads((self.folder / _LISTING).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise ValueError(
                f"there are no labels of shards for {self._output}; `tfautolabel label … --shard 1/N` with "
                "this --out makes them"
            ) from None
        return found._replace(unreadable=[Unreadable(*pair) for pair in found.unreadable])

    @contextmanager
    def shared(self, shard: Shard) -> Iterator[None]:
        """Makes the folder, and locks it for jobs with other shards and against jobs without any.

        Raises:
            BlockingIOError: If a job without a shard works in the folder, or one with the same shard.
            OSError: If the folder cannot be made.
        """
        made = self._made()

        def last() -> bool:
            if self._has_parts():
                return False
            self._clear()
            return True

        try:
            with together(self.folder / "lock", self._busy, last):
                same = f"another process labels shard {shard} of {self._output}: wait for it, or stop it"
                with alone(self.folder / f"lock-{shard.number}-{shard.count}", same):
                    yield
        finally:
            self._remove_if_empty(made)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the folder and locks it for this process; at the end it is removed unless it holds a part.

        Raises:
            BlockingIOError: If another process works in the folder.
            OSError: If the folder cannot be made.
        """
        made = self._made()
        try:
            with alone(self.folder / "lock", self._busy):
                try:
                    yield
                finally:
                    if not self._has_parts():
                        self._clear()
        finally:
            self._remove_if_empty(made)

    def remove(self) -> None:
        """Removes all parts once they are in the output."""
        self._clear()

    def find(self, number: int) -> Part | None:
        """Returns a finished part, or None if there is no valid one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(self._file(number)).metadata
            known = json.loads(metadata[_KEY])
            known["reasons"] = Counter(known["reasons"])
            known["unreadable"] = tuple(Unreadable(*pair) for pair in known["unreadable"])
            return Part(**known)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None

    def write(self, number: int, labels: Labels, digest: str) -> Part:
        """Stores a part.

        Args:
            number: the number of the part.
            labels: the labels of its rows.
            digest: the digest of a `NotedReader` that read all its rows.

        Raises:
            OSError: If the part cannot be written.
        """
        import pyarrow.parquet as pq

        reasons = Counter(labels.reason[labels.reason != ""].tolist())
        part = Part(digest, len(labels), int(labels.accepted.sum()), reasons, labels.unreadable)
        described = vars(part) | {"unreadable": [list(item) for item in part.unreadable]}
        schema = parquet_schema().with_metadata({_KEY: json.dumps(described)})
        with atomic_write(self._file(number), "wb") as file, pq.ParquetWriter(file, schema) as writer:
            for columns in columns_of(labels):
                writer.write_table(parquet_table(columns, schema))
        return part

    def read(self, parts: int) -> Iterator[Columns]:
        """Yields the labels of the first parts, in order, for `LabelsWriter.write_columns`."""
        import pyarrow.parquet as pq

        for number in range(parts):
            table = pq.read_table(self._file(number))
            yield tuple(table.column(name).to_pylist() for name in COLUMNS)

    def _made(self) -> bool:
        """Makes the folder; returns whether the output's folder was missing too."""
        missing = not self.folder.parent.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, self._output) from error
        return missing

    def _remove_if_empty(self, parent_too: bool) -> None:
        with contextlib.suppress(OSError):
            self.folder.rmdir()
            if parent_too:  # a refusal must leave no folder behind
                self.folder.parent.rmdir()

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with atomic_write(self.folder / name) as file:
            file.write(json.dumps(content) + "\n")

    def _file(self, number: int) -> Path:
        return self.folder / f"part-{number:07d}.parquet"

    def _has_parts(self) -> bool:
        return any(self.folder.glob("part-*.parquet"))

    def _clear(self) -> None:
        """Empties the folder, the job file first: after an interruption, the other parts do not count."""
        for file in (self.folder / _JOB, self.folder / _LISTING, *self.folder.glob("part-*.parquet")):
            file.unlink(missing_ok=True)

    def _job(self) -> dict[str, str] | None:
        try:
            found = json.loads((self.folder / _JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class NotedReader:
    """A reader that computes a digest of the values it gives.

    Args:
        reader: the reader of n rows; each row is read or opened.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._digests = np.zeros((len(reader), 32), np.uint8)
        if hasattr(reader, "read_many"):
            self.read_many = self._read_many
        if isinstance(reader, Opening):
            self.size, self.open = reader.size, self._open

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, row: int) -> bytes:
        """The bytes of one row.

        Raises:
            ReadFailure: If this row cannot be read.
        """
        try:
            value = self._reader.read(row)
        except ReadFailure as failure:
            self._note(row, failure)
            raise
        self._note(row, value)
        return value

    def _read_many(self, rows: np.ndarray) -> list[bytes | ReadFailure]:
        values: list[bytes | ReadFailure] = self._reader.read_many(rows)  # type: ignore[attr-defined]
        for row, value in zip(rows.tolist(), values, strict=True):
            self._note(row, value)
        return values

    def _open(self, row: int) -> BinaryIO:
        try:
            file = self._reader.open(row)  # type: ignore[attr-defined]
        except ReadFailure as failure:
            self._note(row, failure)
            raise
        if not self._digests[row].any():  # a long clip is opened several times
            digest = hashlib.sha256(b"=")
            while piece := file.read(_PIECE):
                digest.update(piece)
            file.seek(0)
            self._digests[row] = np.frombuffer(digest.digest(), np.uint8)
        return file  # type: ignore[no-any-return]

    def _note(self, row: int, value: bytes | ReadFailure) -> None:
        # A row that cannot be read gets a digest that no content has.
        digest = hashlib.sha256(b"unreadable" if isinstance(value, ReadFailure) else b"=")
        if not isinstance(value, ReadFailure):
            digest.update(value)
        self._digests[row] = np.frombuffer(digest.digest(), np.uint8)

    @property
    def digest(self) -> str:
        """Returns 64 hexadecimal digits for everything that was read."""
        return hashlib.sha256(self._digests.tobytes()).hexdigest()


def files_digest(folder: Path) -> str:
    """Returns 64 hexadecimal digits for the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{os.fsencode(path.relative_to(folder)).hex()} {content}\n".encode())
    return digest.hexdigest()


def contents_digest(rows: Dataset) -> str:
    """Returns the `NotedReader.digest` that the rows would have if they were labelled now."""
    noted = NotedReader(rows.reader)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        read_rows(noted, range(start, min(start + _ROWS_AT_ONCE, len(rows))), lambda _: b"")
    return noted.digest


def names_digest(names: Iterable[str] | RowNames) -> str:
    """Returns 64 hexadecimal digits for names in their order."""
    if isinstance(names, RowNames):
        return names.digest  # a billion of them need not be made
    digest = hashlib.sha256()
    for name in names:
        encoded = str(name).encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()
