"""One process at a time: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def alone(file: Path, refusal: str) -> Iterator[None]:
    """Runs a block that no other process, and no other thread, runs with the same file at the same time.

    Where the file system has no locks (or the system no flock) the block runs all the same. On a file system
    that machines share, those machines see each other only if it passes flock on, as NFS does.

    Args:
        file: made if it is not there, in a folder that is; it is empty, and removed at the end.
        refusal: a sentence for whoever comes second.

    Raises:
        BlockingIOError: If another runs; the message is `refusal`.
        OSError: If the file cannot be made.
    """
    descriptor = _taken(file, refusal)
    try:
        yield
    finally:
        # While it is held: nobody can have taken it for theirs.
        file.unlink(missing_ok=True)
        os.close(descriptor)


def _taken(file: Path, refusal: str) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise BlockingIOError(refusal) from None
        except OSError:
            return descriptor  # There are no locks here.
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(file, follow_symlinks=False)):
                return descriptor
        except FileNotFoundError:
            pass
        # Whoever had it before removed it just now: what is locked is not what the next would open.
        os.close(descriptor)
