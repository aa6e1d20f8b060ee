"""Makes sure that only one process at a time works on a run's folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tfautolabel._lock import alone
from tfautolabel.runs.files import LOCK
from tfautolabel.runs.inputs import make_folder


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Locks a run's folder and makes it if needed; a new folder that stays empty is removed at the end.

    The lock ends with its process, however the process ends. The lock file is removed at the end. A lock file
    left by a killed process is taken over.

    Raises:
        ValueError: If the folder is a file.
        RuntimeError: If another process holds the lock.
        OSError: If the folder cannot be made or written to.
    """
    is_new = not out.exists()
    make_folder(out)
    refusal = f"another process is at work on {out}: wait until it has ended, or choose another folder"
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(alone(out / LOCK, refusal))
            except BlockingIOError as error:
                raise RuntimeError(refusal) from error
            yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):
                out.rmdir()
