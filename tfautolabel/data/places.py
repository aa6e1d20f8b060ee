"""Places of files: local paths, and addresses such as s3://bucket/photos, which pyarrow.fs reads and writes.

A `Place` has the part of pathlib's interface that readers and writers of files use, so that they work for
both. The path that pathlib makes of an address ("s3:/bucket") is read as the address.
"""

from __future__ import annotations

import contextlib
import fnmatch
import secrets
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tfautolabel.data.store_errors import NETWORK, kind_of, told
from tfautolabel.data.stores import open_store, path_in_store

WAITS = (0.5, 2.0, 8.0)
"""Seconds before each new attempt, after those that a store's own client makes."""

PIECE = 8 << 20
"""Bytes that are fetched at a time."""

_Value = TypeVar("_Value")


class Object(NamedTuple):
    """A file below a place.

    Attributes:
        path: its path below the place, with `/`.
        size: in bytes.
    """

    path: str
    size: int


class Status(NamedTuple):
    """What is known of a file, by the names of `os.stat_result`: bytes, and seconds since 1970."""

    st_size: int
    st_mtime: float


class Place:
    """A file or folder in a bucket or another remote store. In an object store, folders are parts of names.

    Attributes:
        address: scheme, bucket or host, and path; without a query and without a slash at its end.

    Args:
        address: as `place_at` returns it.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        scheme, _, rest = address.partition("://")
        self._scheme = scheme
        self._host, _, self._key = rest.partition("/")

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Place({self.address!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __truediv__(self, name: str) -> Place:
        return Place(f"{self.address}/{name}")

    def __reduce__(self) -> tuple[Callable[[str], Place], tuple[str]]:
        # What opens the store is made anew: another process has credentials of its own.
        return Place, (self.address,)

    @property
    def name(self) -> str:
        """The last part of the path, or the bucket."""
        return (self._key or self._host).rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    @property
    def parent(self) -> Place:
        """The folder around; a bucket is its own."""
        return Place(self.address.rpartition("/")[0]) if self._key else self

    def with_name(self, name: str) -> Place:
        """Returns the place of another name in the same folder."""
        return self.parent / name

    def contains(self, other: Place) -> bool:
        """Returns whether another place is this one or lies below it."""
        return other == self or other.address.startswith(f"{self.address}/")

    @cached_property
    def filesystem(self) -> Any:
        """What pyarrow.fs opens the store with."""
        return open_store(self._scheme, self._host)

    @property
    def path(self) -> str:
        """The path that `filesystem` knows."""
        return path_in_store(self._scheme, self._host, self._key)

    def is_file(self) -> bool:
        """Returns whether there is a file."""
        return bool(self._info().is_file)

    def is_dir(self) -> bool:
        """Returns whether there is a folder: in an object store, whether a name begins with it."""
        return str(self._info().type.name) == "Directory"

    def exists(self) -> bool:
        """Returns whether there is a file or a folder."""
        return str(self._info().type.name) != "NotFound"

    def check_bucket(self) -> None:
        """Refuses a place in a bucket that does not exist.

        Raises:
            FileNotFoundError: If there is no such bucket.
            OSError: If it cannot be asked.
        """
        bucket = Place(f"{self._scheme}://{self._host}")
        with contextlib.suppress(PermissionError):  # who may write need not be allowed to look
            if not bucket.exists():
                raise FileNotFoundError(f"there is no bucket {bucket}")

    def stat(self) -> Status:
        """Returns the size and the time of a file.

        Raises:
            FileNotFoundError: If there is none.
        """
        info = self._info()
        if not info.is_file:
            raise FileNotFoundError(f"there is no file {self.address}")
        return Status(int(info.size), (info.mtime_ns or 0) / 1e9)

    def objects(self) -> list[Object]:
        """Lists all files below, in no order.

        Raises:
            FileNotFoundError: If there is no such folder or bucket.
            OSError: If it cannot be listed.
        """
        from pyarrow.fs import FileSelector

        found = self._asked(
            "listed", lambda: self.filesystem.get_file_info(FileSelector(self.path, recursive=True))
        )
        start = len(self.path.rstrip("/")) + 1
        return [Object(info.path[start:], info.size) for info in found if info.is_file]

    def open(self) -> Any:
        """Opens a file for reads anywhere in it; a `pyarrow.NativeFile`.

        Raises:
            FileNotFoundError: If there is none.
            OSError: If it cannot be read.
        """
        return self._asked("read", lambda: self.filesystem.open_input_file(self.path))

    def read_bytes(self) -> bytes:
        """Returns the content of a file.

        Raises:
            OSError: If it cannot be read.
        """
        return b"".join(self.pieces())

    def read_text(self, encoding: str = "utf-8") -> str:
        """Returns the content of a text file.

        Raises:
            OSError: If it cannot be read.
            UnicodeDecodeError: If it is another encoding's.
        """
        return self.read_bytes().decode(encoding)

    def pieces(self) -> Iterator[bytes]:
        """Yields the content of a file; what a network broke off is asked for again, some times.

        Raises:
            FileNotFoundError: If there is no such file.
            OSError: If it cannot be read, or was replaced while it was read.
        """
        file: Any = None
        at = 0

        def next_piece() -> bytes:
            nonlocal file
            try:
                if file is None:
                    file = self.filesystem.open_input_file(self.path)
                return bytes(file.read_at(min(PIECE, max(file.size() - at, 0)), at))
            except OSError:
                file = None  # opened anew by the next attempt
                raise

        first = patiently(self.version, self.address)
        while piece := patiently(next_piece, self.address):
            at += len(piece)
            yield piece
            if patiently(self.version, self.address) != first:
                raise ConnectionError(f"{self.address} was replaced while it was read: run the command again")

    def version(self) -> dict[Any, Any]:
        """Returns what changes if another file takes the place of this one: its tag, size and time.

        Raises:
            FileNotFoundError: If there is no file.
            OSError: If it cannot be asked for.
        """
        with self.filesystem.open_input_file(self.path) as file:
            told = dict(file.metadata() or {})
            # Other entries, such as the time of the last access, may change by reading.
            known = {name: tag for name, tag in told.items() if _lower(name) in ("etag", "generation")}
            known = known or {"time": self._info().mtime_ns}
            return known | {"size": file.size()}

    def put(self, file: Path) -> None:
        """Writes a whole file of this machine here, over what is there; nothing appears unless all has come.

        An object gets its name at the end, in one step. On HDFS a hidden file beside it is renamed.

        Args:
            file: a closed file that nobody changes.

        Raises:
            OSError: If it cannot be written.
        """
        from pyarrow.fs import LocalFileSystem, copy_files

        hidden = self.with_name(f".{self.name}.{secrets.token_hex(8)}.partial") if self._is_in_tree else self
        if self._is_in_tree:
            self._asked("written", lambda: self.filesystem.create_dir(self.parent.path, recursive=True))

        def attempt() -> None:
            # In one call: a stream that is left by an error would write what it has, under the name.
            copy_files(
                str(file),
                hidden.path,
                source_filesystem=LocalFileSystem(),
                destination_filesystem=self.filesystem,
                use_threads=False,
            )
            if hidden.stat().st_size != file.stat().st_size:
                raise ConnectionError("less was written than sent")
            if self._is_in_tree:
                self.filesystem.move(hidden.path, self.path)

        patiently(attempt, self.address, "written")

    def unlink(self, missing_ok: bool = False) -> None:
        """Removes a file.

        Raises:
            FileNotFoundError: If there is none, unless `missing_ok`.
            OSError: If it cannot be removed.
        """
        with contextlib.suppress(*([FileNotFoundError] if missing_ok else [])):
            self._asked("removed", lambda: self.filesystem.delete_file(self.path))

    def remove_tree(self) -> None:
        """Removes everything below a folder, if it exists.

        Raises:
            OSError: If it cannot be removed.
        """
        with contextlib.suppress(FileNotFoundError):
            self._asked("removed", lambda: self.filesystem.delete_dir(self.path))

    def glob(self, pattern: str) -> list[Place]:
        """Returns the files in a folder whose names match a pattern; none if there is no folder.

        Raises:
            OSError: If it cannot be listed.
        """
        try:
            return [self / path for path, _ in self.objects() if fnmatch.fnmatchcase(path, pattern)]
        except FileNotFoundError:
            return []

    @property
    def _is_in_tree(self) -> bool:
        """Whether folders are things of their own here, and a file is seen while it is written."""
        return self._scheme == "hdfs"

    def _info(self) -> Any:
        return self._asked("looked at", lambda: self.filesystem.get_file_info(self.path))

    def _asked(self, verb: str, question: Callable[[], _Value]) -> _Value:
        _ = self.filesystem  # which says by itself what it lacks
        try:
            return question()
        except (OSError, ValueError) as error:
            raise told(error, self.address, verb) from error


def patiently(attempt: Callable[[], _Value], address: str, verb: str = "read") -> _Value:
    """Calls a function again after failures of the network, some times.

    Args:
        attempt: asks the store.
        address: of the file, for messages.
        verb: what is done with it, for messages.

    Raises:
        FileNotFoundError: If there is no such file.
        PermissionError: If it may not be read.
        ConnectionError: If the network or the store failed each time.
        OSError: If the store refuses for another reason.
    """
    waits = iter(WAITS)
    while True:
        try:
            return attempt()
        except OSError as error:
            wait = next(waits, None) if kind_of(error) == NETWORK else None
            if wait is None:
                raise told(error, address, verb) from error
        time.sleep(wait)


def _lower(name: str | bytes) -> str:
    return (name.decode("utf-8", "replace") if isinstance(name, bytes) else name).lower()
