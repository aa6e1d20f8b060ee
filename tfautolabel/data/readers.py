"""Readers give a data set's bytes: from files, from memory, or from some rows of another reader."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from typing import BinaryIO, Protocol, TypeVar, cast, runtime_checkable

import numpy as np

from tfautolabel.data.room import NoRoom, Room
from tfautolabel.data.row_runs import RowRuns, Rows, rows_at

MAX_FILE_BYTES = 512 * 1024 * 1024
"""No useful picture, text or clip is larger; a disk image in the folder must not fill the memory."""

STAYS_INSIDE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
"""Whether the system can open a path folder by folder without following links."""

_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Without O_NONBLOCK, opening a FIFO that replaced a file would wait for a writer for ever."""

READ_THREADS = 8
"""More threads than cores, because reading waits for disks; readers that wait for networks have `threads`."""


_Value = TypeVar("_Value")


class ReadFailure(ValueError):  # noqa: N818 - a value that `Dataset.read` returns, seldom raised
    """One row could not be read; the message is the reason, as `unreadable.csv` shows it."""


class Reader(Protocol):
    """Rows of bytes that are read on demand. Several threads call `read` at the same time."""

    def __len__(self) -> int:
        """The number of rows."""

    def read(self, row: int) -> bytes:
        """The bytes of one row.

        Args:
            row: in [0, n).

        Raises:
            ReadFailure: If this row cannot be read.
        """


@runtime_checkable
class Opening(Protocol):
    """A reader whose rows are files that can be read in part."""

    def size(self, row: int) -> int:
        """Returns how many bytes `read` would give; 0 if it would fail."""

    def open(self, row: int) -> BinaryIO:
        """Opens the file of one row, whose size is at most that which `read` takes.

        Raises:
            ReadFailure: If this row cannot be read.
        """


class MemoryReader:
    """Reads bytes that are already in memory.

    Args:
        inputs: n byte strings.

    Raises:
        TypeError: If an input is not bytes.
    """

    def __init__(self, inputs: Sequence[bytes]):
        for row, value in enumerate(inputs):
            if not isinstance(value, bytes):
                raise TypeError(
                    f"inputs must be encoded files as bytes. Received: {type(value).__name__} in row {row}"
                )
        self._inputs = tuple(inputs)

    def __len__(self) -> int:
        return len(self._inputs)

    def read(self, row: int) -> bytes:
        """The bytes of one row."""
        return self._inputs[row]


class FileReader:
    """Reads files below one folder on demand.

    Args:
        root: the folder.
        paths: n paths relative to `root`, as `os.fsdecode` spells them; a name that is not UTF-8 still opens.
            No part of a path may be a link or become one: files outside `root` are not read.
        max_bytes: a larger file gives a `ReadFailure`.
    """

    def __init__(self, root: str | os.PathLike[str], paths: Sequence[str], max_bytes: int = MAX_FILE_BYTES):
        self._root = os.fspath(root)
        self._paths = tuple(paths)
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._paths)

    def read(self, row: int) -> bytes:
        """The bytes of one file.

        Raises:
            ReadFailure: If the file is gone, cannot be read, is not a regular file or is too large.
        """
        try:
            return _read_file(_open_below(self._root, self._paths[row]), self._max_bytes)
        except OSError as error:
            raise ReadFailure(why_not_read(error)) from error

    def open(self, row: int) -> BinaryIO:
        """Opens one file; see `Opening`."""
        try:
            return _checked_file(_open_below(self._root, self._paths[row]), self._max_bytes)
        except OSError as error:
            raise ReadFailure(why_not_read(error)) from error

    def only(self, rows: np.ndarray) -> FileReader:
        """Returns a reader of some of the files; see `Narrows`."""
        paths = [self._paths[row] for row in rows.tolist()]
        return FileReader(os.path.abspath(self._root), paths, self._max_bytes)

    def size(self, row: int) -> int:
        """Returns how many bytes `read` would give; 0 if it would fail."""
        try:
            size = os.lstat(os.path.join(self._root, self._paths[row])).st_size
        except OSError:
            return 0
        return size if size <= self._max_bytes else 0


class SelectedReader:
    """Reads some rows of another reader, in the order of `rows`.

    Attributes:
        source: the reader of all rows, itself no selection.
        rows: (m,) int64, the selected rows of `source`; as runs if they were given so.

    Args:
        reader: the reader to select from.
        rows: (m,) int64 in [0, len(reader)).
    """

    def __init__(self, reader: Reader, rows: Rows):
        # A selection of a selection reads in one step, and the readers between can be freed.
        self.source: Reader = reader
        self.rows: Rows = rows if isinstance(rows, RowRuns) else np.asarray(rows, np.int64)
        if isinstance(reader, SelectedReader):
            self.source, self.rows = reader.source, rows_at(reader.rows, self.rows)
        if hasattr(self.source, "read_many"):
            self.read_many = self._read_many
        if hasattr(self.source, "size"):
            self.size = self._size
        if isinstance(self.source, Opening):
            self.open = self._open
        self.threads = threads_of(self.source)

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        """The bytes of one selected row."""
        return self.source.read(int(self.rows[row]))

    def _size(self, row: int) -> int:
        return int(self.source.size(int(self.rows[row])))  # type: ignore[attr-defined]

    def _open(self, row: int) -> BinaryIO:
        return self.source.open(int(self.rows[row]))  # type: ignore[attr-defined, no-any-return]

    def _read_many(self, rows: np.ndarray) -> list[bytes | ReadFailure]:
        return _in_order(self.source.read_many, self.rows[rows].tolist())  # type: ignore[attr-defined]


def read_rows(
    reader: Reader, rows: Sequence[int], ready: Callable[[bytes], bytes] | None = None
) -> list[bytes | ReadFailure]:
    """Reads rows in parallel and keeps their order.

    Args:
        reader: the source of the rows. A reader that works best in its own order has a method `read_many`,
            from (m,) ascending rows to m values.
        rows: m indices in [0, len(reader)).
        ready: converts the bytes of each row; it may raise `ReadFailure`.

    Returns:
        m values: the bytes, or the failure of a row that could not be read.
    """

    def read_some(some: Sequence[int]) -> list[bytes | ReadFailure]:
        values: list[bytes | ReadFailure] = []
        for row in some:
            try:
                value = reader.read(row)
                values.append(value if ready is None else ready(value))
            except ReadFailure as failure:
                values.append(failure)
        return values

    if hasattr(reader, "read_many"):
        values = _in_order(reader.read_many, rows)
        return values if ready is None else [made_ready(value, ready) for value in values]
    return _by_threads(read_some, rows, threads_of(reader))


def threads_of(reader: Reader) -> int:
    """Returns how many rows of a reader are best read at once: its `threads`, else `READ_THREADS`."""
    return getattr(reader, "threads", READ_THREADS)


def read_within(
    reader: Reader,
    rows: Sequence[int],
    ready: Callable[..., _Value],
    most: int,
    opened_above: float = math.inf,
) -> list[_Value | ReadFailure]:
    """Reads the first rows in parallel, as many as fit into a number of bytes.

    Args:
        reader: the source of the rows. A reader that knows a row's size before reading has a method `size`,
            from a row to bytes.
        rows: m indices in [0, len(reader)), m > 0.
        ready: like the argument of `read_rows`, with an optional argument `take`. It calls `take` with the
            size of the result before it makes it, and must let through what `take` raises.
        most: the limit in bytes for the values and the files that they are made from.
        opened_above: of files with more bytes than this, `ready` gets what opens the file instead of the
            content, if the reader can open them.

    Returns:
        The values of the first rows; at least one, however large it is.
    """
    if hasattr(reader, "read_many"):
        return [made_ready(value, ready) for value in _in_order(reader.read_many, rows)]
    size = getattr(reader, "size", lambda _: 0)

    def made(row: int, take: Callable[[int], None]) -> _Value:
        expected = size(row)
        if expected > opened_above and isinstance(reader, Opening):
            return ready(partial(reader.open, row), take=take)
        take(expected)
        return ready(reader.read(row), take=take)

    room = Room(most)

    def read_some(some: Sequence[int]) -> list[_Value | ReadFailure | None]:
        values: list[_Value | ReadFailure | None] = []
        for row in some:
            try:
                values.append(made(row, room.take))
            except NoRoom:
                return [*values, *[None] * (len(some) - len(values))]
            except ReadFailure as failure:
                values.append(failure)
        return values

    fitting: list[_Value | ReadFailure] = []
    for value in _by_threads(read_some, rows, threads_of(reader)):
        if value is None:
            break
        fitting.append(value)
    if not fitting:
        try:
            fitting.append(made(rows[0], lambda _: None))
        except ReadFailure as failure:
            fitting.append(failure)
    return fitting


def _by_threads(
    read_some: Callable[[Sequence[int]], list[_Value]], rows: Sequence[int], threads: int
) -> list[_Value]:
    # Giving a row to a thread costs as much as reading a cached file, so threads take a few rows at a time.
    least = 4 if threads == READ_THREADS else 1
    step = max(least, -(-len(rows) // (threads * 4)))
    if len(rows) <= step:
        return read_some(rows)
    pieces = [rows[start : start + step] for start in range(0, len(rows), step)]
    return [value for values in _threads(os.getpid(), threads).map(read_some, pieces) for value in values]


def _in_order(
    read_many: Callable[[np.ndarray], list[bytes | ReadFailure]], rows: Sequence[int]
) -> list[bytes | ReadFailure]:
    order = np.argsort(rows, kind="stable")
    values = read_many(np.asarray(rows, np.int64)[order])
    return [values[place] for place in np.argsort(order, kind="stable").tolist()]


def made_ready(value: bytes | ReadFailure, ready: Callable[[bytes], _Value]) -> _Value | ReadFailure:
    """Converts what was read; a failure stays a failure, and a new failure replaces the value."""
    if isinstance(value, ReadFailure):
        return value
    try:
        return ready(value)
    except ReadFailure as failure:
        return failure


@cache
def _threads(process: int, count: int) -> ThreadPoolExecutor:
    """Returns the reading threads; they are kept because starting them takes longer than reading a batch.

    Args:
        process: the process id; threads do not survive a fork.
        count: how many.
    """
    return ThreadPoolExecutor(count, thread_name_prefix=f"tfautolabel-read-{process}")


def _open_below(root: str, path: str) -> int:
    """Opens a file below a folder safely, even if somebody replaces files by links meanwhile.

    Raises:
        ReadFailure: If a part of the path is a link.
        OSError: If it cannot be opened.
    """
    if not STAYS_INSIDE:
        whole = os.path.join(os.path.realpath(root), path)
        if os.path.exists(whole) and os.path.realpath(whole) != os.path.normpath(whole):
            raise ReadFailure(_LINK)
        return os.open(whole, _FILE)
    # A folder that can be entered need not be readable.
    passing = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY
    *folders, name = path.split("/")
    here = os.open(root, passing)
    try:
        for folder in folders:
            above = here
            here = os.open(folder, passing | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
        return os.open(name, _FILE | os.O_NOFOLLOW, dir_fd=here)
    except OSError as error:
        # The system reports a link in place of a folder as "not a directory".
        if error.errno == errno.ELOOP or (error.errno == errno.ENOTDIR and _has_link(root, path)):
            raise ReadFailure(_LINK) from error
        raise
    finally:
        os.close(here)


_LINK = "a link has taken its place since it was listed"


def _has_link(root: str, path: str) -> bool:
    parts = path.split("/")
    return any(os.path.islink(os.path.join(root, *parts[:end])) for end in range(1, len(parts)))


def _read_file(descriptor: int, max_bytes: int) -> bytes:
    with _checked_file(descriptor, max_bytes) as file:
        data = file.read()
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    return data


def _checked_file(descriptor: int, max_bytes: int) -> BinaryIO:
    """Returns a regular file that is not too large, without a buffer."""
    # The listing saw a regular file, but it may be something else now.
    with ExitStack() as opened:
        file = opened.enter_context(open(descriptor, "rb", buffering=0))
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ReadFailure("not a regular file")
        if status.st_size > max_bytes:
            raise _too_large(status.st_size, max_bytes)
        opened.pop_all()
        return cast(BinaryIO, file)


def _too_large(size: int, max_bytes: int) -> ReadFailure:
    return ReadFailure(f"too large: {size:,} bytes, the limit is {max_bytes:,}")


def why_not_read(error: OSError) -> str:
    """Says in one line why the system did not give a file."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "the file has gone since it was listed"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, IsADirectoryError) or error.errno == errno.ENXIO:
        return "not a regular file"
    return f"cannot be read: {error.strerror or error}"
