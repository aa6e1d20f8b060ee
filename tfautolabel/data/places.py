"""Places of files: local paths, and addresses such as s3://bucket/photos, which pyarrow.fs reads and writes.

A `Place` has the part of pathlib's interface that readers and writers of files use, so that they work for
both. The path that pathlib makes of an address ("s3:/bucket") is read as the address.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tfautolabel.data.store_errors import NETWORK, kind_of, told
from tfautolabel.data.stores import SCHEMES, open_store, path_in_store

_WRITTEN = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?!/)", re.IGNORECASE)
_QUERY = re.compile(r"\?((?:[\w.%-]+=[^&\s]*)(?:&[\w.%-]+=[^&\s]*)*)$")
_SIGNATURES = re.compile(
    r"x-(amz|goog|ms)-.*|awsaccesskeyid|googleaccessid|signature|expires|sig|se|sp|sv|sr|st|spr|sip|ss|srt|"
    r"sk(oid|tid|t|e|s|v)|response-.*",
    re.IGNORECASE,
)
"""Names in the queries of signed addresses, as S3, Google Cloud Storage and Azure sign them."""

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
            return dict(file.metadata()) | {"size": file.size()}

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


def is_remote(value: object) -> bool:
    """Returns whether a value is a place in a remote store, or written as the address of one.

    Examples:
        >>> is_remote("s3://bucket/photos"), is_remote(Path("s3://bucket/photos")), is_remote("photos")
        (True, True, False)
    """
    if isinstance(value, Place):
        return True
    return isinstance(value, (str, os.PathLike)) and _WRITTEN.match(os.fspath(value)) is not None


def shown(written: str) -> str:
    """Returns what may be shown of a text that may be an address: no query, nothing of a refused one.

    Examples:
        >>> shown("s3://bucket/1.jpg?X-Amz-Signature=1b2c"), shown("s3://key:secret@bucket/1.jpg")
        ('s3://bucket/1.jpg', 's3://…')
    """
    if not is_remote(written.strip()):
        return written
    try:
        return place_at(written.strip()).address
    except ValueError:
        return f"{written.strip().partition(':')[0]}://…"


def place_of(value: str | os.PathLike[str] | Place) -> Path | Place:
    """Returns the place that an address names, or the local path.

    Raises:
        ValueError: If it is an address that cannot be used.
    """
    if isinstance(value, Place):
        return value
    return place_at(os.fspath(value)) if is_remote(value) else Path(value)


def place_at(address: str) -> Place:
    """Reads an address; asks nothing of the network.

    The signature of a signed address is left out. Names with "?" and "=" can be read through their folder.

    Args:
        address: SCHEME://BUCKET/PATH. A percent sign is a percent sign, as in the stores' own tools.

    Raises:
        ValueError: If it names a key or password, no bucket, or what cannot be read by an address. The
            message never shows what may be secret.

    Examples:
        >>> place_at("s3://bucket/photos/?X-Amz-Signature=1b2c")
        Place('s3://bucket/photos')
    """
    found = _WRITTEN.match(address)
    if found is None:
        raise ValueError(f"an address begins with one of {', '.join(f'{name}://' for name in SCHEMES)}")
    scheme, rest = found[1].lower(), address[found.end() :]
    if query := _QUERY.search(rest):
        names = [part.partition("=")[0] for part in query[1].split("&")]
        if others := [name for name in names if not _SIGNATURES.fullmatch(name)]:
            raise ValueError(
                f"an address is SCHEME://BUCKET/PATH without a query; credentials, the region and the "
                f"endpoint come from the environment. Received: {scheme}:// with {', '.join(others[:5])}"
            )
        rest = rest[: query.start()]
    host, _, key = rest.partition("/")
    _check_host(scheme, host)
    key = key.rstrip("/")
    if any(part in ("", ".", "..") for part in key.split("/")) and key:
        raise ValueError(
            f"an address has no empty parts and none called . or .. in it. Received: {scheme}://{host}/{key}"
        )
    return Place(f"{scheme}://{host}/{key}" if key else f"{scheme}://{host}")


def _check_host(scheme: str, host: str) -> None:
    user, at, bucket = host.rpartition("@")
    # With Azure's schemes the container stands before the account, and HDFS knows users by name.
    named = bool(at) and scheme not in ("abfs", "abfss", "hdfs")
    if ":" in user or named or (":" in host and scheme != "hdfs"):
        raise ValueError(
            f"an address holds no keys and no password: credentials come from the environment, as for the "
            f"store's own tools. Received: one of {scheme}:// with something before its bucket"
        )
    if not bucket and scheme != "hdfs":
        raise ValueError(f"an address is SCHEME://BUCKET/PATH. Received: {scheme}:// without a bucket")


def in_full(value: str | os.PathLike[str] | Place) -> str:
    """Returns a path in full or an address, as records name it."""
    place = place_of(value)
    return place.address if isinstance(place, Place) else os.path.abspath(place)


def is_within(one: str | os.PathLike[str] | Place, folder: str | os.PathLike[str] | Place) -> bool:
    """Returns whether a place is a folder or lies in it, also through links."""
    one, folder = place_of(one), place_of(folder)
    if isinstance(one, Place) or isinstance(folder, Place):
        return isinstance(one, Place) and isinstance(folder, Place) and folder.contains(one)
    return Path(os.path.realpath(one)).is_relative_to(os.path.realpath(folder))


def folder_around(file: str | Place) -> str | Place:
    """Returns the folder of a file: a local path in full, or a place in a store."""
    return file.parent if isinstance(file, Place) else os.path.dirname(os.path.abspath(file))
