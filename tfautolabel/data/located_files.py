"""Readers of files that values name: what they share, whatever holds the values."""

from __future__ import annotations

from typing import BinaryIO

from tfautolabel.data.named_objects import NamedObjects
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.written_paths import PathSearch

NamedFiles = PathSearch | NamedObjects


class LocatedFiles:
    """Reads the file of a row; files of this machine can be opened too, see `Opening`.

    Args:
        place: where to look for the files.
    """

    def __init__(self, place: NamedFiles) -> None:
        self.place = place
        self.threads = place.threads
        if isinstance(place, PathSearch):
            self._files = place
            self.size, self.open = self._size, self._open

    def located(self, row: int) -> str:
        """Returns what `place.locate` found for a row.

        Raises:
            ReadFailure: If there is no such file.
        """
        raise NotImplementedError

    def read(self, row: int) -> bytes:
        """Reads the file of one row.

        Raises:
            ReadFailure: If there is no file, or it cannot be read.
        """
        return self.place.read(self.located(row))

    def _size(self, row: int) -> int:
        try:
            return self._files.file(self.located(row)).size(0)
        except ReadFailure:
            return 0

    def _open(self, row: int) -> BinaryIO:
        return self._files.file(self.located(row)).open(0)
