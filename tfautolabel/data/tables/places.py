"""Rows of a file that are read from known places in it."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from typing import BinaryIO

from tfautolabel.data.readers import ReadFailure


def skip_line(file: BinaryIO, step: int) -> int:
    """Goes on to behind the end of the line, and returns how many bytes that were.

    Args:
        file: somewhere within a line.
        step: bytes that may be in memory.
    """
    skipped = 0
    while piece := file.readline(step):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


class PlacedReader:
    """Pieces of one file, each turned into the bytes of an input when it is asked for.

    Args:
        path: the file.
        starts: (n,) where each piece begins, in bytes.
        lengths: (n,) how long it is.
        take: from a piece to the input in it; it may raise `ReadFailure`.
    """

    def __init__(
        self, path: str, starts: array[int], lengths: array[int], take: Callable[[bytes], bytes]
    ) -> None:
        self._path = path
        self._starts = starts
        self._lengths = lengths
        self._take = take
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - open as long as the reader lives

    def __len__(self) -> int:
        return len(self._starts)

    def read(self, row: int) -> bytes:
        """The bytes of one row's input.

        Raises:
            ReadFailure: If the file cannot be read or is not what it was.
        """
        length = self._lengths[row]
        try:
            piece = os.pread(self._file.fileno(), length, self._starts[row])
        except OSError as error:
            raise ReadFailure(f"cannot be read: {error.strerror or error}") from error
        if len(piece) != length:
            raise ReadFailure("the file has become shorter since it was listed")
        return self._take(piece)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
