"""Reads rows from known positions in a file."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from tfautolabel.data.readers import ReadFailure


def skip_line(file: BinaryIO, step: int) -> int:
    """Moves to the end of the current line and returns the number of bytes skipped.

    Args:
        file: a file, positioned within a line.
        step: the most bytes in memory.
    """
    skipped = 0
    while piece := file.readline(step):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


class PlacedReader:
    """Reads pieces of one file and extracts an input from each on demand.

    Args:
        path: the file.
        starts: (n,) the start of each piece, in bytes.
        lengths: (n,) the length of each piece, in bytes.
        take: extracts the input from a piece; it may raise `ReadFailure`.
        lasts: whether the file is the user's own, and no temporary copy.
    """

    def __init__(
        self,
        path: str,
        starts: array[int] | np.ndarray,
        lengths: array[int] | np.ndarray,
        take: Callable[[bytes], bytes],
        lasts: bool = True,
    ) -> None:
        self._path = path
        self._lasts = lasts
        self._starts = starts
        self._lengths = lengths
        self._take = take
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - open as long as the reader lives

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, row: int) -> bytes:
        """Reads the input of one row.

        Raises:
            ReadFailure: If the file cannot be read or has changed.
        """
        length = self._lengths[row]
        try:
            piece = os.pread(self._file.fileno(), length, self._starts[row])
        except OSError as error:
            raise ReadFailure(f"cannot be read: {error.strerror or error}") from error
        if len(piece) != length:
            raise ReadFailure("the file has become shorter since it was listed")
        return self._take(piece)

    def only(self, rows: np.ndarray) -> PlacedReader | None:
        """Returns a reader of some of the pieces; see `Narrows`."""
        if not self._lasts:
            return None
        starts, lengths = (np.frombuffer(places, np.int64)[rows] for places in (self._starts, self._lengths))
        return PlacedReader(os.path.abspath(self._path), starts, lengths, self._take)

    def __reduce__(self) -> tuple[Callable[..., PlacedReader], tuple[object, ...]]:
        return PlacedReader, (self._path, self._starts, self._lengths, self._take)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
