"""Durable writes: files that survive a power failure, and swaps of folders in one step.

A rename replaces a file atomically, but it cannot replace a folder that is not empty. Linux can exchange two
names in one step (renameat2 with RENAME_EXCHANGE, since 3.15). Other systems and NFS cannot. There the old
folder is first set aside, and a note beside it says where it belongs. A process that misses the folder puts
it back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

CONTENT, ASIDE, BELONGS = "content", "aside", "belongs"
"""Names in a scratch folder: the new content; the folder that had the name before; the note of that name."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_AT_FDCWD, _EXCHANGE = -100, 2
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EOPNOTSUPP, errno.EPERM)


def sync_file(path: Path) -> None:
    """Makes the system write a file's content to the disk."""
    _sync(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)


def sync_directory(directory: Path) -> None:
    """Makes a rename survive a power failure, on systems that can open directories."""
    if os.name == "posix":
        _sync(directory, os.O_RDONLY)


def sync_tree(folder: Path) -> None:
    """Makes the system write everything below a folder to the disk; does not follow links."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            if not (path := Path(parent, name)).is_symlink():
                sync_file(path)
        sync_directory(Path(parent))


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(scratch: Path, target: Path, replace: bool = True) -> None:
    """Renames the folder `scratch`/content; what had the new name before is in `scratch` afterwards.

    Args:
        scratch: a folder beside `target`, as `scratch_folder` makes them.
        target: a folder, or a name that does not exist.
        replace: whether a folder that is not empty is replaced.

    Raises:
        FileExistsError: If the folder must not be replaced.
        OSError: If the rename fails; then nothing has changed.
    """
    content = scratch / CONTENT
    while True:
        if replace:
            with contextlib.suppress(FileNotFoundError):
                _replace(content, target, scratch)
                break
        try:
            os.rename(content, target)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not replace:
                raise FileExistsError(f"{target} exists already") from error
            # Another process was faster: this replaces its folder.
    sync_directory(target.parent)


def _replace(content: Path, target: Path, scratch: Path) -> None:
    if exchange(content, target):
        return
    if not target.exists():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(target))
    # This is not one step: from now on the note says where the old folder belongs.
    with open(scratch / BELONGS, "w", encoding="utf-8", errors="surrogateescape") as note:
        note.write(target.name)
        note.flush()
        os.fsync(note.fileno())
    sync_directory(scratch)
    os.rename(target, scratch / ASIDE)
    try:
        os.rename(content, target)
    except BaseException:
        put_back(scratch)
        raise


def put_back(scratch: Path) -> Path | None:
    """Gives a folder that was set aside its name back, if nothing else has the name.

    Args:
        scratch: where `put_in_place` put it.

    Returns:
        The restored folder; None if there was nothing to put back.
    """
    try:
        name = (scratch / BELONGS).read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):
        return None
    target = scratch.parent / name
    if target.parent != scratch.parent or name in ("", ".", "..") or os.path.lexists(target):
        return None
    try:
        os.rename(scratch / ASIDE, target)
    except OSError:
        return None  # It was never set aside, or another process was faster.
    sync_directory(scratch.parent)
    return target


def exchange(one: Path, other: Path) -> bool:
    """Swaps two names in one step; returns False if the system cannot.

    Args:
        one: a file or folder.
        other: another, on the same file system.

    Raises:
        FileNotFoundError: If one of the two does not exist.
        OSError: If the system supports this but refuses it.
    """
    if (call := _renameat2()) is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), os.fspath(one), None, os.fspath(other))


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Returns the C library's function, if it has one."""
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    function.restype = ctypes.c_int
    found: Callable[..., int] = function
    return found


def cannot_write(error: OSError, path: Path) -> OSError:
    """Returns the same error with one sentence that names the file or folder to write.

    Args:
        error: the system's error.
        path: the file or folder that the user knows; not its temporary name.

    Returns:
        An error of the same kind and number.
    """
    number = error.errno or _no_room_of_copies(error)
    reason = error.strerror or (os.strerror(number) if number else str(error))
    told = type(error)(f"{path} cannot be written: {reason.lower()}")
    told.errno = number
    return told


def is_no_room(error: OSError) -> bool:
    """Returns whether the disk or a quota is full, which can happen only in writing."""
    told = error.errno in _NO_ROOM and error.strerror is not None
    return told or _no_room_of_copies(error) is not None


def _no_room_of_copies(error: OSError) -> int | None:
    """Returns the number of an error that `shutil.copytree` collected as text."""
    if error.errno is not None or not isinstance(error, shutil.Error):
        return None
    return next((number for number in _NO_ROOM if os.strerror(number) in str(error)), None)
