"""Files that are either whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload


@overload
def atomic_write(
    path: str | os.PathLike[str], mode: Literal["w"] = ...
) -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["wb"]) -> AbstractContextManager[BinaryIO]: ...
def atomic_write(path: str | os.PathLike[str], mode: Literal["w", "wb"] = "w") -> AbstractContextManager[Any]:
    r"""Opens a file that takes its name only when the block ends without an error.

    Until then a file of that name stays as it was; after an error nothing is left behind. Missing parent
    folders are made. Text is UTF-8 with line ends as written; a character that UTF-8 cannot hold (a lone
    surrogate) becomes an escape.

    Args:
        path: the file. A link is written through, as `open` does.
        mode: "w" for text, "wb" for bytes, as for `open`.

    Returns:
        A context manager that gives the open file.

    Raises:
        ValueError: If the mode is another, or a folder has that name.
        OSError: If the file cannot be written.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_write(pathlib.Path(folder, "new", "run.json")) as file:
        ...         _ = file.write("{}\n")
        ...     pathlib.Path(folder, "new", "run.json").read_text()
        '{}\n'
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"mode must be 'w' or 'wb'. Received: mode={mode!r}")
    return _atomic_write(Path(os.path.realpath(path)), mode)


@contextmanager
def _atomic_write(path: Path, mode: str) -> Iterator[IO[Any]]:
    if path.is_dir():
        raise ValueError(f"a file cannot replace a folder. Received: path={str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic within one file system only. Hidden, so that a listing
    # never takes it for data if the process is killed. Without the target's name, which may be as long as
    # names can be. Not tempfile's, which only its owner may read.
    partial = path.parent / f".partial-{secrets.token_hex(8)}"
    try:
        with _create(partial, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _create(path: Path, mode: str) -> IO[Any]:
    if mode == "wb":
        return open(path, "xb")
    return open(path, "x", encoding="utf-8", errors="backslashreplace", newline="")


def _sync_directory(directory: Path) -> None:
    """Makes a rename last through a power failure, where the system lets directories be opened."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
