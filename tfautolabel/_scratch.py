"""Scratch files and folders: data being written under a temporary name, and what dead processes left.

A scratch file or folder is hidden and lies beside its final place, because a rename is atomic only within one
file system. Its writer holds a lock on it (flock). The system releases the lock when the process dies for any
reason. So if another process can lock it, it was left behind, and the next process that writes there removes
it.

A lock works between all processes of one kernel, also in containers. On a file system that other machines
share (NFS, SMB, FUSE) the lock may not reach them. There, scratch from another kernel counts as left behind
only if nothing in it has changed for `ABANDONED` seconds. The same holds without locks.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tfautolabel._durable import CONTENT, put_back, sync_directory

if sys.platform != "win32":
    import fcntl

ABANDONED = 7 * 24 * 3600.0
"""If the lock says nothing, scratch counts as left behind after so many seconds without a change."""

_LOCK = "lock"
_UNLOCKED = "unlocked"
_NAME = re.compile(rf"\.partial-(?:([0-9a-f]{{12}}|{_UNLOCKED})-)?[0-9a-f]{{16}}")
_OF_ONE_MACHINE = (
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jfs", "ntfs3", "overlay", "ramfs", "tmpfs",
    "vfat", "xfs", "zfs",
)  # fmt: skip
_swept: set[str] = set()


@contextmanager
def scratch_file(folder: Path, mode: str = "xb", **options: Any) -> Iterator[IO[Any]]:
    """Makes a new file with a temporary name; removes it at the end, unless it was renamed.

    First removes what dead processes left in the folder, once for each folder and process.

    Args:
        folder: the folder for the file; it must exist.
        mode: "x" or "xb".
        **options: as for `open`.

    Yields:
        The open file; `name` is its path. Rename it while it is open, because closing it releases the lock.

    Raises:
        OSError: If it cannot be made.
    """
    _sweep_once(folder)
    file = _new_file(folder, mode, options)
    try:
        yield file
    finally:
        try:
            # After an error the buffered rest may not fit on the disk; only the first error is reported.
            with contextlib.suppress(OSError):
                file.close()
        finally:
            Path(file.name).unlink(missing_ok=True)


def give_name(file: IO[Any], path: Path) -> None:
    """Writes a scratch file to the disk completely, then gives it its final name.

    Args:
        file: from `scratch_file`, still open.
        path: the final name in the same folder; an existing file is replaced.

    Raises:
        OSError: If the file cannot be written or renamed.
    """
    file.flush()
    os.fsync(file.fileno())
    if os.name != "posix":
        file.close()  # Windows cannot rename an open file.
    os.replace(file.name, path)
    sync_directory(path.parent)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Makes an empty folder for this user alone; it is removed at the end or by a later process.

    Yields:
        The folder, in the folder that `TMPDIR` names.
    """
    with scratch_folder(Path(tempfile.gettempdir()), 0o700) as scratch:
        yield scratch / CONTENT


@contextmanager
def scratch_folder(parent: Path, mode: int = 0o777) -> Iterator[Path]:
    """Makes a new folder; it is removed at the end with its content, or later if the process dies.

    Args:
        parent: the folder to make it in; it must exist.
        mode: its permissions, before the umask.

    Yields:
        The folder; it holds a lock and an empty folder `CONTENT` to write into.

    Raises:
        OSError: If it cannot be made.
    """
    _sweep_once(parent)
    scratch, descriptor = _new_folder(parent, mode)
    try:
        (scratch / CONTENT).mkdir()
        yield scratch
    finally:
        try:
            # Another process will remove what cannot be removed now.
            with contextlib.suppress(OSError):
                _remove(scratch)
        finally:
            os.close(descriptor)


def sweep(folder: str | os.PathLike[str]) -> list[Path]:
    """Removes half-written files of dead processes from a folder, and puts back what they had set aside.

    Never touches files of a living process, see above. Files that may not be read or removed stay.

    Args:
        folder: only its top level is searched; it need not exist.

    Returns:
        The removed paths.
    """
    removed = []
    for path in scratch_in(folder):
        with contextlib.suppress(OSError), _taken(path) as is_left_behind:
            if is_left_behind:
                put_back(path)
                _remove(path)
                removed.append(path)
    return removed


def scratch_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Returns scratch that is being written in a folder or was left there."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name))
    except OSError:
        return []


def restore(target: str | os.PathLike[str]) -> None:
    """Restores a folder that a dead process had set aside and not yet replaced; see `_durable`.

    Args:
        target: a folder; the call is cheap if it exists.
    """
    target = Path(target)
    if not target.exists():
        sweep(target.parent)


def _sweep_once(folder: Path) -> None:
    place = os.path.realpath(folder)
    if place not in _swept:
        _swept.add(place)
        sweep(place)


def _new_file(folder: Path, mode: str, options: dict[str, Any]) -> IO[Any]:
    mark = _kernel()
    while True:
        path = folder / _name(mark)
        file = open(path, mode, **options)  # noqa: SIM115 - it is the caller's
        try:
            if mark == _UNLOCKED or _hold(file.fileno(), path):
                return file
        except OSError:  # There are no locks here.
            path.unlink(missing_ok=True)
            mark = _UNLOCKED
        file.close()


def _new_folder(parent: Path, mode: int) -> tuple[Path, int]:
    """Makes a folder and returns it with the descriptor that holds its lock."""
    mark = _kernel()
    while True:
        path = parent / _name(mark)
        path.mkdir(mode)
        lock = path / _LOCK
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:  # Another process removed it while it was empty and had no lock.
            continue
        except OSError:
            path.rmdir()
            raise
        try:
            if mark == _UNLOCKED or _hold(descriptor, lock):
                return path, descriptor
        except OSError:  # There are no locks here.
            mark = _UNLOCKED
            with contextlib.suppress(OSError):
                _remove(path)
        os.close(descriptor)


def _name(mark: str) -> str:
    return f".partial-{mark}-{secrets.token_hex(8)}"


def _hold(descriptor: int, path: Path) -> bool:
    """Locks a new file; returns False if another process has already removed it as left behind.

    Raises:
        OSError: If the file system has no locks.
    """
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _is_there(descriptor, path)


def _is_there(descriptor: int, path: Path) -> bool:
    """Returns whether a name still belongs to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Yields whether scratch was left behind; only one process gets True while the block runs."""
    is_folder = stat.S_ISDIR(path.lstat().st_mode)
    lock = path / _LOCK if is_folder else path
    # Never opens a link or a pipe that somebody put there.
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(lock, flags)
    except FileNotFoundError:
        if is_folder:
            path.rmdir()  # Its process died before it could lock it; a living process makes another one.
        yield False
        return
    try:
        yield _is_left_behind(descriptor, path) and _is_there(descriptor, lock)
    finally:
        os.close(descriptor)


def _is_left_behind(descriptor: int, path: Path) -> bool:
    found = _NAME.fullmatch(path.name)
    mark = found and found.group(1)
    if mark and mark != _UNLOCKED and sys.platform != "win32":
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # There are no locks here.
        else:
            if mark == _kernel() or _is_of_one_machine(path.parent):
                return True
    return time.time() - last_change(path) > ABANDONED


def last_change(path: Path) -> float:
    """Returns the latest modification time of a file, or of anything in a folder."""
    changes = [path.lstat().st_mtime]
    for parent, folders, files in os.walk(path):
        changes += [os.lstat(os.path.join(parent, name)).st_mtime for name in (*folders, *files)]
    return max(changes)


def _remove(path: Path) -> None:
    """Removes scratch; removes the lock last, so that a later process can remove a rest that stayed."""
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    for child in path.iterdir():
        if child.name == _LOCK:
            continue
        if stat.S_ISDIR(child.lstat().st_mode):
            shutil.rmtree(child)
        else:
            child.unlink()
    (path / _LOCK).unlink(missing_ok=True)
    path.rmdir()


@functools.cache
def _kernel() -> str:
    """Returns 12 hexadecimal digits, equal for processes that certainly see each other's locks."""
    if sys.platform == "win32":
        return _UNLOCKED
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except (OSError, ValueError):
        boot = platform.node()
    return hashlib.sha256(boot.encode()).hexdigest()[:12]


def _is_of_one_machine(folder: Path) -> bool:
    """Returns whether a folder is on a local disk, which no other machine can mount at the same time."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return False
    place = Path(os.path.realpath(folder))
    kind, longest = "", -1
    for line in lines:
        # https://www.kernel.org/doc/Documentation/filesystems/proc.txt, 3.5: the fifth field is the place,
        # with octal escapes; the kind of file system follows a lone hyphen.
        before, _, after = line.partition(" - ")
        mounted = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), before.split(" ")[4])
        if len(mounted) >= longest and place.is_relative_to(mounted):
            kind, longest = after.split(" ")[0], len(mounted)
    return kind in _OF_ONE_MACHINE
