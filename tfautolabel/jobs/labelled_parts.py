"""Labels that are done, kept beside what they will become, so that a job that was killed goes on.

A part is some rows in a row: their labels, what of them was set aside, and a digest of their contents. It is
a Parquet file that appears whole. The folder of parts is hidden, belongs to one output, and says of which
model, rows and settings its parts are; a part counts only as long as its rows still hold what they held.
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

import numpy as np

from tfautolabel._durable import cannot_write
from tfautolabel._lock import alone
from tfautolabel.data import Dataset, ReadFailure, Rejected
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.readers import Reader, read_rows
from tfautolabel.data.writers import COLUMNS, Columns, columns_of, parquet_schema, parquet_table
from tfautolabel.labels import Labels

_JOB = "job.json"
_KEY = b"tfautolabel"
_ROWS_AT_ONCE = 64
"""Rows that are read at a time to see whether they have changed."""


@dataclass(frozen=True)
class Part:
    """What is known of a part without reading its labels.

    Attributes:
        digest: of the contents of its rows when they were labelled; see `NotedReader`.
        total: rows with a label, accepted or not.
        accepted: of these, the accepted ones.
        reasons: why the others are not.
        rejected: what could not be read.
    """

    digest: str
    total: int
    accepted: int
    reasons: Counter[str]
    rejected: tuple[Rejected, ...]


class LabelledParts:
    """The parts of one job that are done.

    Args:
        output: the file that they are for; the folder of parts stands beside it.

    Attributes:
        folder: of parts.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.parent / f".{output.name}.progress"

    def begin(self, job: dict[str, str]) -> list[str]:
        """Makes the folder that of a job; parts of another are removed.

        Args:
            job: name to value of all that decides what the labels are, ready for JSON.

        Returns:
            The names whose values changed since parts were written that are lost now.

        Raises:
            OSError: If it cannot be written.
        """
        before = self._job()
        if before == job:
            return []
        had_parts = self._has_parts()
        self._clear()
        with atomic_write(self.folder / _JOB) as file:
            file.write(json.dumps(job) + "\n")
        return [name for name in job if (before or {}).get(name) != job[name]] if had_parts else []

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the folder and keeps it to this process; it goes at the end unless it holds a part.

        Raises:
            BlockingIOError: If another process works in it.
            OSError: If it cannot be made.
        """
        name = self.folder.name.removeprefix(".").removesuffix(".progress")
        output = self.folder.parent / name
        made = not self.folder.parent.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, output) from error
        try:
            with alone(self.folder / "lock", f"another process is writing {output}: wait for it, or stop it"):
                try:
                    yield
                finally:
                    if not self._has_parts():
                        self._clear()
        finally:
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                if made:  # a refusal leaves no folder behind
                    self.folder.parent.rmdir()

    def remove(self) -> None:
        """Removes all parts: they are in the output now."""
        self._clear()

    def find(self, number: int) -> Part | None:
        """A part that is done."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_schema(self._file(number)).metadata
            known = json.loads(metadata[_KEY])
            known["reasons"] = Counter(known["reasons"])
            known["rejected"] = tuple(Rejected(*pair) for pair in known["rejected"])
            return Part(**known)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            return None

    def write(self, number: int, labels: Labels, digest: str) -> Part:
        """Keeps a part.

        Args:
            number: of the part.
            labels: of its rows.
            digest: of a `NotedReader` that all its rows were read through.

        Raises:
            OSError: If it cannot be written.
        """
        import pyarrow.parquet as pq

        reasons = Counter(labels.reason[labels.reason != ""].tolist())
        part = Part(digest, len(labels), int(labels.accepted.sum()), reasons, labels.rejected)
        described = vars(part) | {"rejected": [list(item) for item in part.rejected]}
        schema = parquet_schema().with_metadata({_KEY: json.dumps(described)})
        with atomic_write(self._file(number), "wb") as file, pq.ParquetWriter(file, schema) as writer:
            for columns in columns_of(labels):
                writer.write_table(parquet_table(columns, schema))
        return part

    def read(self, parts: int) -> Iterator[Columns]:
        """Gives the labels of so many parts, in their order, for `LabelsWriter.write_columns`."""
        import pyarrow.parquet as pq

        for number in range(parts):
            table = pq.read_table(self._file(number))
            yield tuple(table.column(name).to_pylist() for name in COLUMNS)

    def _file(self, number: int) -> Path:
        return self.folder / f"part-{number:07d}.parquet"

    def _has_parts(self) -> bool:
        return any(self.folder.glob("part-*.parquet"))

    def _clear(self) -> None:
        """Removes what is in the folder, first what it is of: if this breaks off, the rest does not count."""
        for file in (self.folder / _JOB, *self.folder.glob("part-*.parquet")):
            file.unlink(missing_ok=True)

    def _job(self) -> dict[str, str] | None:
        try:
            found = json.loads((self.folder / _JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


class NotedReader:
    """A reader that takes note of what it gives.

    Args:
        reader: read through it, each of its n rows once.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._digests = np.zeros((len(reader), 32), np.uint8)
        if hasattr(reader, "read_many"):
            self.read_many = self._read_many

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

    def _note(self, row: int, value: bytes | ReadFailure) -> None:
        # What cannot be read differs from whatever can be.
        digest = hashlib.sha256(b"unreadable" if isinstance(value, ReadFailure) else b"=")
        if not isinstance(value, ReadFailure):
            digest.update(value)
        self._digests[row] = np.frombuffer(digest.digest(), np.uint8)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits of all that was read."""
        return hashlib.sha256(self._digests.tobytes()).hexdigest()


def files_digest(folder: Path) -> str:
    """64 hexadecimal digits of the names and contents of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{os.fsencode(path.relative_to(folder)).hex()} {content}\n".encode())
    return digest.hexdigest()


def contents_digest(rows: Dataset) -> str:
    """What `NotedReader.digest` would be if the rows were labelled now."""
    noted = NotedReader(rows.reader)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        read_rows(noted, range(start, min(start + _ROWS_AT_ONCE, len(rows))))
    return noted.digest


def names_digest(names: Iterable[str]) -> str:
    """64 hexadecimal digits of names in their order."""
    digest = hashlib.sha256()
    for name in names:
        encoded = str(name).encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()
