"""A column of paths: the inputs are the files that they lead to."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tfautolabel.data.readers import FileReader, Reader, ReadFailure

MAX_PATH = 4096


class PathReader:
    """Files below one folder that another reader's values name.

    Args:
        folder: the folder that paths are relative to.
        names: reads the paths.
    """

    def __init__(self, folder: str, names: Reader) -> None:
        self._folder = os.path.realpath(folder)
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    def read(self, row: int) -> bytes:
        """The bytes of the file that a row names.

        Raises:
            ReadFailure: If the path leads out of the folder or there is no file that can be read.
        """
        path = self._names.read(row).decode("utf-8", "replace").strip().replace("\\", "/")
        inside = local_path(self._folder, path)
        if inside is None:
            raise ReadFailure(f"the path leads out of the table's folder: {path[:200]!r}")
        try:
            return FileReader(self._folder, [inside]).read(0)
        except ReadFailure as failure:
            gone = not os.path.exists(os.path.join(self._folder, inside))
            raise ReadFailure(f"there is no file {path[:200]!r}" if gone else str(failure)) from failure


def local_path(folder: str, path: str) -> str | None:
    """A path relative to a folder, once links are followed; None if it leads out of it or is none.

    Args:
        folder: a folder, free of links itself.
        path: as written.
    """
    if not path or len(path) > MAX_PATH or "\0" in path:
        return None
    real = os.path.realpath(os.path.join(folder, path))
    return os.path.relpath(real, folder) if real.startswith(os.path.join(folder, "")) else None


def are_paths(folder: str, values: Sequence[bytes | None]) -> bool:
    """Whether most of some values name files below the folder."""
    folder = os.path.realpath(folder)
    texts = [value.decode("utf-8", "replace").strip() for value in values if value and len(value) <= MAX_PATH]
    inside = [local_path(folder, text.replace("\\", "/")) for text in texts if "\n" not in text]
    found = sum(path is not None and os.path.isfile(os.path.join(folder, path)) for path in inside)
    return found * 2 > len([value for value in values if value])
