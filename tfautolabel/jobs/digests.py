"""Digests of what a job works on: a model's files, the names of rows, and their contents as they are read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.readers import Opening, Reader, read_rows, threads_of
from tfautolabel.data.row_names import RowNames

_ROWS_AT_ONCE = 64
"""Rows that are read at a time to check whether they have changed."""

_PIECE = 1 << 20


class NotedReader:
    """A reader that computes a digest of the values it gives.

    Args:
        reader: the reader of n rows; each row is read or opened.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._digests = np.zeros((len(reader), 32), np.uint8)
        self.threads = threads_of(reader)
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
