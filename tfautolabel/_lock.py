"""A lock for one process, or for several of one kind; it ends with them, even after a crash."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone(file: Path, refusal: str) -> Iterator[None]:
    """Runs a block while no other process or thread runs one with the same file.

    Without locks in the file system, or without flock in the system, the block runs without protection. On a
    file system that several machines share, the lock works between them only if the file system passes flock
    on, as NFS does.

    Args:
        file: an empty file, made if it does not exist and removed at the end; its folder must exist.
        refusal: a sentence for the process that comes second.

    Raises:
        BlockingIOError: If another process or thread holds the lock; the message is `refusal`.
        OSError: If the file cannot be made.
    """
    descriptor = _taken(file, refusal)
    try:
        yield
    finally:
        # Removed while the lock is held: nobody else can hold this file.
        file.unlink(missing_ok=True)
        os.close(descriptor)


@contextmanager
def together(file: Path, refusal: str, last: Callable[[], bool]) -> Iterator[None]:
    """Runs a block that others may run at the same time with the same file, but no block of `alone`.

    Args:
        file: as for `alone`.
        refusal: a sentence for a process that comes while `alone` has the file.
        last: is called at the end if nobody else holds the lock; says whether the file is removed.

    Raises:
        BlockingIOError: If another process or thread holds the lock alone; the message is `refusal`.
        OSError: If the file cannot be made.
    """
    descriptor = _taken(file, refusal, shared=True)
    try:
        yield
    finally:
        if _alone_now(descriptor) and last():
            file.unlink(missing_ok=True)
        os.close(descriptor)


def _alone_now(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _taken(file: Path, refusal: str, shared: bool = False) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BlockingIOError(refusal) from None
        except OSError:
            return descriptor  # This file system has no locks.
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(file, follow_symlinks=False)):
                return descriptor
        except FileNotFoundError:
            pass
        # The earlier holder has just removed the file: the next process would open another file.
        os.close(descriptor)
