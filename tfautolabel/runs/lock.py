"""One process at a time works on a run's folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfautolabel.runs.files import LOCK
from tfautolabel.runs.inputs import make_folder

if sys.platform != "win32":
    import fcntl


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Holds a run's folder, which is made if it is not there and goes again if nothing was put into it.

    The lock dies with its process, however that ends. Its file goes at the end; one that a killed process
    left behind is taken over.

    Raises:
        ValueError: If the folder is a file.
        RuntimeError: If another process holds it.
        OSError: If it cannot be made or written to.
    """
    is_new = not out.exists()
    make_folder(out)
    file = out / LOCK
    descriptor = _hold(file, out)
    try:
        yield
    finally:
        # While it is held: whoever opened it in the meantime sees that its name is gone, and makes another.
        with contextlib.suppress(OSError):
            file.unlink()
        os.close(descriptor)
        if is_new:
            with contextlib.suppress(OSError):
                out.rmdir()


def _hold(file: Path, out: Path) -> int:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, file):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise RuntimeError(
                f"another process is at work on {out}: wait until it has ended, or choose another folder"
            ) from None
        except OSError:  # There are no locks on this file system.
            return descriptor
        os.close(descriptor)


def _is_named(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False
