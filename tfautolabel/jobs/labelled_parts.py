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
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel._durable import cannot_write
from tfautolabel._lock import alone, together
from tfautolabel.data import Unreadable
from tfautolabel.data.addresses import opened
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.places import Place
from tfautolabel.data.store_errors import is_of_store
from tfautolabel.data.writers import COLUMNS, Columns, columns_of, parquet_schema, parquet_table
from tfautolabel.jobs.shards import Listing, Shard
from tfautolabel.labels import Labels

_JOB = "job.json"
_LISTING = "listing.json"
_KEY = b"tfautolabel"


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

    def __init__(self, output: Path | Place) -> None:
        self.folder: Path | Place = output.parent / f".{output.name}.progress"
        self._output = output
        self._key: str | None = None
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
        self._key = _digest_of(job)
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
        self._key = _digest_of(job)
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
        except (OSError, ValueError, TypeError) as error:
            self._raise_if_of_store(error)
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
        if isinstance(self.folder, Place):  # which has no locks
            yield
            return
        made = self._made(self.folder)

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
            _remove_if_empty(self.folder, made)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Makes the folder and locks it for this process; at the end it is removed unless it holds a part.

        Raises:
            BlockingIOError: If another process works in the folder.
            OSError: If the folder cannot be made.
        """
        if isinstance(self.folder, Place):
            yield
            return
        made = self._made(self.folder)
        try:
            with alone(self.folder / "lock", self._busy):
                try:
                    yield
                finally:
                    if not self._has_parts():
                        self._clear()
        finally:
            _remove_if_empty(self.folder, made)

    def remove(self) -> None:
        """Removes all parts once they are in the output."""
        self._clear()

    def find(self, number: int) -> Part | None:
        """Returns a finished part, or None if there is no valid one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with opened(self._file(number)) as source:
                known = json.loads(pq.read_schema(source).metadata[_KEY])
            if known.pop("job") != self._job_key():
                return None
            known["reasons"] = Counter(known["reasons"])
            known["unreadable"] = tuple(Unreadable(*pair) for pair in known["unreadable"])
            return Part(**known)
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            self._raise_if_of_store(error)
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
        described["job"] = self._job_key()
        schema = parquet_schema().with_metadata({_KEY: json.dumps(described)})
        with atomic_write(self._file(number), "wb") as file, pq.ParquetWriter(file, schema) as writer:
            for columns in columns_of(labels):
                writer.write_table(parquet_table(columns, schema))
        return part

    def read(self, parts: int) -> Iterator[Columns]:
        """Yields the labels of the first parts, in order, for `LabelsWriter.write_columns`.

        Raises:
            BlockingIOError: If another job has written parts, which only a store without locks allows.
            OSError: If a part cannot be read.
        """
        import pyarrow.parquet as pq

        for number in range(parts):
            try:
                with opened(self._file(number)) as source:
                    table = pq.read_table(source)
                others = json.loads(table.schema.metadata[_KEY]).get("job") != self._job_key()
            except FileNotFoundError:
                others = True
            if others:
                raise BlockingIOError(
                    f"another job has begun or ended for {self._output} meanwhile, and their labels are not "
                    "mixed: run one at a time"
                )
            yield tuple(table.column(name).to_pylist() for name in COLUMNS)

    def _made(self, folder: Path) -> bool:
        """Makes the folder; returns whether the output's folder was missing too."""
        missing = not folder.parent.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(error, Path(str(self._output))) from error
        return missing

    def _write(self, name: str, content: dict[str, Any]) -> None:
        with atomic_write(self.folder / name) as file:
            file.write(json.dumps(content) + "\n")

    def _file(self, number: int) -> Path | Place:
        return self.folder / f"part-{number:07d}.parquet"

    def _has_parts(self) -> bool:
        return any(self.folder.glob("part-*.parquet"))

    def _clear(self) -> None:
        """Empties the folder, the job file first: after an interruption, the other parts do not count."""
        if isinstance(self.folder, Place):
            self.folder.remove_tree()
            return
        for file in (self.folder / _JOB, self.folder / _LISTING, *self.folder.glob("part-*.parquet")):
            file.unlink(missing_ok=True)

    def _job(self) -> dict[str, str] | None:
        try:
            found = json.loads((self.folder / _JOB).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            self._raise_if_of_store(error)
            return None
        return found if isinstance(found, dict) else None

    def _job_key(self) -> str:
        """Returns what tells the parts of one job from those of others, also where there are no locks."""
        if self._key is None:
            self._key = _digest_of(self._job() or {})
        return self._key

    def _raise_if_of_store(self, error: Exception) -> None:
        """Raises an error of a store that does not say what is there, so that it is not taken for nothing."""
        if isinstance(self.folder, Place) and is_of_store(error):
            raise error


def _digest_of(job: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()


def _remove_if_empty(folder: Path, parent_too: bool) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
        if parent_too:  # a refusal must leave no folder behind
            folder.parent.rmdir()
