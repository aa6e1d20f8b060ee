"""Reads rows from known positions in a file."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from tfautolabel.data.readers import ReadFailure

BLOCK = 64
"""Pieces whose lengths are added up to find the start of one."""


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


class Places:
    """Where pieces lie in a file: (start, length) of each, in ascending order, in 5 bytes a piece of text.

    Most pieces begin where the one before ends. So lengths are held, and a start for each block of pieces
    without a gap; where each has one, as in TFRecord files, a piece takes 20 bytes.
    """

    def __init__(self) -> None:
        self._lengths = array("I")
        self._firsts, self._starts = array("q"), array("q")
        self._end = -1

    def append(self, start: int, length: int) -> None:
        """Adds a piece of less than 4 GiB behind the last one."""
        if start != self._end or len(self._lengths) - self._firsts[-1] == BLOCK:
            self._firsts.append(len(self._lengths))
            self._starts.append(start)
        self._lengths.append(length)
        self._end = start + length

    def __len__(self) -> int:
        return len(self._lengths)

    def __getitem__(self, row: int) -> tuple[int, int]:
        """Returns start and length of one piece, in bytes."""
        if not 0 <= row < len(self._lengths):
            raise IndexError(f"row must lie in [0, {len(self._lengths) - 1}]. Received: {row}")
        block = bisect_right(self._firsts, row) - 1
        return self._starts[block] + sum(self._lengths[self._firsts[block] : row]), self._lengths[row]


class PlacedReader:
    """Reads pieces of one file and extracts an input from each on demand.

    Args:
        path: the file.
        places: start and length of each of n pieces, in bytes.
        take: extracts the input from a piece; it may raise `ReadFailure`.
        lasts: whether the file is the user's own, and no temporary copy.
    """

    def __init__(
        self,
        path: str,
        places: Places | list[tuple[int, int]],
        take: Callable[[bytes], bytes],
        lasts: bool = True,
    ) -> None:
        self._path = path
        self._lasts = lasts
        self._places = places
        self._take = take
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - open as long as the reader lives

    def __len__(self) -> int:
        return len(self._places)

    def read(self, row: int) -> bytes:
        """Reads the input of one row.

        Raises:
            ReadFailure: If the file cannot be read or has changed.
        """
        start, length = self._places[row]
        try:
            piece = os.pread(self._file.fileno(), length, start)
        except OSError as error:
            raise ReadFailure(f"cannot be read: {error.strerror or error}") from error
        if len(piece) != length:
            raise ReadFailure("the file has become shorter since it was listed")
        return self._take(piece)

    def only(self, rows: np.ndarray) -> PlacedReader | None:
        """Returns a reader of some of the pieces; see `Narrows`."""
        if not self._lasts:
            return None
        places = [self._places[row] for row in rows.tolist()]
        return PlacedReader(os.path.abspath(self._path), places, self._take)

    def __reduce__(self) -> tuple[Callable[..., PlacedReader], tuple[object, ...]]:
        return PlacedReader, (self._path, self._places, self._take)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
