"""One process at a time works on a run's folder."""

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
