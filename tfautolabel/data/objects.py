"""Lists and reads the files below a place in a remote store, as `folder` and `readers` do with local ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfautolabel.data.addresses import is_remote, place_of
from tfautolabel.data.folder import (
    SYSTEM_FOLDERS,
    THUMBNAILS,
    FolderListing,
    folder_aside,
    is_left_out,
    left_out_note,
)
from tfautolabel.data.places import Place, patiently
from tfautolabel.data.readers import MAX_FILE_BYTES, ReadFailure
from tfautolabel.labels import Unreadable

READ_THREADS = 32
"""How many objects are asked for at once: each answer takes two trips through a network."""


class ObjectReader:
    """Reads the files below a folder in a store on demand.

    Attributes:
        threads: how many rows are best read at once; see `read_rows`.

    Args:
        folder: the folder.
        paths: n paths relative to it.
        sizes: the bytes of each path, as listed.
        max_bytes: a larger file gives a `ReadFailure`.
    """

    threads = READ_THREADS

    def __init__(
        self,
        folder: Place,
        paths: Sequence[str],
        sizes: Mapping[str, int],
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._folder = folder
        self._paths = tuple(paths)
        self._sizes = sizes
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, row: int) -> bytes:
        """The bytes of one file.

        Raises:
            ReadFailure: If the file is gone, may not be read or is too large.
            OSError: If the network or the store fails.
        """
        path = self._paths[row]
        size = self._sizes.get(path, 0)
        if size > self._max_bytes:
            raise too_large(size, self._max_bytes)
        return read_object(self._folder / path, self._folder, self._max_bytes)

    def only(self, rows: np.ndarray) -> ObjectReader:
        """Returns a reader of some of the files; see `Narrows`."""
        paths = [self._paths[row] for row in rows.tolist()]
        sizes = {path: self._sizes[path] for path in paths if path in self._sizes}
        return ObjectReader(self._folder, paths, sizes, self._max_bytes)

    def size(self, row: int) -> int:
        """Returns how many bytes `read` would give; 0 if it would fail."""
        size = self._sizes.get(self._paths[row], 0)
        return size if size <= self._max_bytes else 0


def too_large(size: int, limit: int) -> ReadFailure:
    """Returns the failure of a file that is too large."""
    return ReadFailure(f"too large: {size:,} bytes, the limit is {limit:,}")


def read_object(place: Place, around: Place, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Reads one file of many; a file that cannot be read is told from a store that cannot be reached.

    Args:
        place: the file.
        around: a folder that can be listed if the store lets anything be read.
        max_bytes: a larger file is not read.

    Raises:
        ReadFailure: If this file is gone, may not be read or is too large.
        OSError: If the network or the store fails, or nothing there may be read.
    """

    def fetch() -> bytes:
        with around.filesystem.open_input_file(place.path) as file:
            size = file.size()
            if size > max_bytes:
                raise too_large(size, max_bytes)
            data: bytes = file.read(size)
        if len(data) != size:
            raise ConnectionError("the answer ended early")
        return data

    try:
        return patiently(fetch, place.address)
    except ReadFailure:
        raise
    except FileNotFoundError as error:
        raise ReadFailure("the file has gone since it was listed") from error
    except PermissionError as error:
        if _is_shut(around):
            raise
        raise ReadFailure("permission denied") from error
    except ValueError as error:  # a name that no address can have
        raise ReadFailure("its name cannot be asked for") from error


def _is_shut(folder: Place) -> bool:
    """Returns whether a whole folder is refused, as after credentials have expired."""
    try:
        patiently(lambda: folder.filesystem.get_file_info(folder.path), folder.address)
    except PermissionError:
        return True
    return False


def list_objects(root: Place, exclude: Iterable[Any] = ()) -> FolderListing:
    """Lists every file below a folder in a store, by the rules of `list_folder`.

    Args:
        root: the folder.
        exclude: files and folders to leave out silently; they need not exist.

    Raises:
        FileNotFoundError: If there is no such folder.
        OSError: If it cannot be listed.
    """
    places = [place_of(one) for one in exclude if is_remote(one)]
    start = len(root.address) + 1
    excluded = {str(place)[start:] for place in places if isinstance(place, Place) and root.contains(place)}
    sizes: dict[str, int] = {}
    thumbnails: dict[str, int] = {}
    left_out: set[str] = set()
    small: set[str] = set()
    aside: dict[str, str] = {}
    for path, size in root.objects():
        *folders, name = path.split("/")
        above = [path, *("/".join(folders[:end]) for end in range(1, len(folders) + 1))]
        if is_left_out(name) or any(map(is_left_out, folders)) or not excluded.isdisjoint(above):
            continue
        if (found := _first_of(SYSTEM_FOLDERS, folders)) is not None:
            left_out.add(found)
            continue
        if (found := _first_of(THUMBNAILS, folders)) is not None:
            small.add(found)
            thumbnails[path] = size
            continue
        sizes[path] = size
        for end, folder in enumerate(folders, 1):
            if (reason := folder_aside(folder)) is not None:
                aside["/".join(folders[:end])] = reason
    if sizes:
        left_out |= small
    else:
        sizes = thumbnails
    counted = Counter(path.rpartition("/")[2] for path in left_out)
    notes = (left_out_note(str(root), counted),) if counted else ()
    names = sorted(sizes)
    unreadable = sorted(Unreadable(path, reason) for path, reason in aside.items())
    return FolderListing(str(root), names, names, unreadable, root, notes, sizes)


def _first_of(names: Container[str], folders: Sequence[str]) -> str | None:
    """Returns the path of the first folder that has one of some names."""
    ends = (end for end, folder in enumerate(folders, 1) if folder.lower() in names)
    end = next(ends, None)
    return None if end is None else "/".join(folders[:end])
