"""What is being written and has no name of its own yet, and what dead processes left of that.

A scratch file or folder is hidden and stands beside what it will become, because a rename is atomic within
one file system only. Its writer holds a lock on it (flock), which the system releases when the process dies,
however it dies. So what can be locked was left behind, and goes when the next process writes there.

A lock tells the truth to all processes of one kernel, in containers too. On a file system that other machines
share (NFS, SMB, FUSE) it may not reach them: there, what was made under another kernel is taken for left
behind only when nothing in it has changed for `ABANDONED` seconds. The same holds where there are no locks.
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
"""Seconds without a change after which scratch that cannot be judged by its lock counts as left behind."""

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
    """A new file under a name that says that it is not whole; it goes at the end, unless it was renamed.

    What dead processes left in the folder is swept first, once for each folder and process.

    Args:
        folder: where; it must be there.
        mode: "x" or "xb".
        **options: as for `open`.

    Yields:
        The open file; `name` is its path. Rename it while it is open: its lock ends when it is closed.

    Raises:
        OSError: If it cannot be made.
    """
    _sweep_once(folder)
    file = _new_file(folder, mode, options)
    try:
        yield file
    finally:
        try:
            # What is still buffered after an error may find no room; the error itself is what is told.
            with contextlib.suppress(OSError):
                file.close()
        finally:
            Path(file.name).unlink(missing_ok=True)


def give_name(file: IO[Any], path: Path) -> None:
    """Makes a scratch file, all of which is on the disk by then, the file of a name.

    Args:
        file: of `scratch_file`, still open.
        path: in the same folder; a file of that name is replaced.

    Raises:
        OSError: If it cannot be done.
    """
    file.flush()
    os.fsync(file.fileno())
    if os.name != "posix":
        file.close()  # Windows renames no file that is open.
    os.replace(file.name, path)
    sync_directory(path.parent)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """An empty folder for this user alone, which goes at the end or is swept by a later process.

    Yields:
        The folder, below the one that `TMPDIR` names.
    """
    with scratch_folder(Path(tempfile.gettempdir()), 0o700) as scratch:
        yield scratch / CONTENT


@contextmanager
def scratch_folder(parent: Path, mode: int = 0o777) -> Iterator[Path]:
    """A new folder that goes at the end with all that is in it, or is swept later if the process dies.

    Args:
        parent: where; it must be there.
        mode: who may look into it, before the umask.

    Yields:
        The folder, which holds an empty folder `CONTENT` to write into, and a lock.

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
            # What cannot be removed now is swept by another process.
            with contextlib.suppress(OSError):
                _remove(scratch)
        finally:
            os.close(descriptor)


def sweep(folder: str | os.PathLike[str]) -> list[Path]:
    """Removes what dead processes left half-written in a folder, and puts back what they had set aside.

    Nothing of a living process is touched, see above. What may not be read or removed stays.

    Args:
        folder: one level is looked at; a folder that is not there is no error.

    Returns:
        What was removed.
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
    """What is being written in a folder, or was left there."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name))
    except OSError:
        return []


def restore(target: str | os.PathLike[str]) -> None:
    """Makes a folder appear again that a dead process had set aside and not yet replaced; see `_durable`.

    Args:
        target: a folder; one that is there costs nothing.
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
    """The folder, and the descriptor that holds its lock."""
    mark = _kernel()
    while True:
        path = parent / _name(mark)
        path.mkdir(mode)
        lock = path / _LOCK
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileNotFoundError:  # It was swept while it was empty and had no lock.
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
    """Locks a new file; False if it was swept before, by a process that took it for left behind.

    Raises:
        OSError: If the file system has no locks.
    """
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return _is_there(descriptor, path)


def _is_there(descriptor: int, path: Path) -> bool:
    """Whether a name is still that of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


@contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Gives whether scratch was left behind; nobody else finds that while the block runs."""
    is_folder = stat.S_ISDIR(path.lstat().st_mode)
    lock = path / _LOCK if is_folder else path
    # Neither a link nor a pipe that somebody put there is opened.
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(lock, flags)
    except FileNotFoundError:
        if is_folder:
            path.rmdir()  # Its process died before it could lock it; whoever lives makes another.
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
    """The latest time of modification of a file, or of anything in a folder."""
    changes = [path.lstat().st_mtime]
    for parent, folders, files in os.walk(path):
        changes += [os.lstat(os.path.join(parent, name)).st_mtime for name in (*folders, *files)]
    return max(changes)


def _remove(path: Path) -> None:
    """Removes scratch; the lock goes last, so that what could not be removed can be swept again."""
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
    """12 hexadecimal digits of what the processes have in common that see each other's locks for sure."""
    if sys.platform == "win32":
        return _UNLOCKED
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except (OSError, ValueError):
        boot = platform.node()
    return hashlib.sha256(boot.encode()).hexdigest()[:12]


def _is_of_one_machine(folder: Path) -> bool:
    """Whether a folder is on a disk of this machine, which no other can have mounted at the same time."""
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
