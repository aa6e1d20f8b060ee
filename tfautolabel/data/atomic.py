"""Files and folders that are either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from tfautolabel._durable import (
    CONTENT,
    cannot_write,
    is_no_room,
    put_in_place,
    sync_tree,
)
from tfautolabel._scratch import give_name, scratch_file, scratch_folder


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
    options = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""} if mode == "w" else {}
    with _told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _told_of(path):
            file = stack.enter_context(scratch_file(path.parent, mode.replace("w", "x"), **options))
        try:
            yield file
        except OSError as error:
            if is_no_room(error):
                raise cannot_write(error, path) from error
            raise
        with _told_of(path):
            give_name(file, path)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], replace: bool = True, own: Collection[str] | None = None
) -> Iterator[Path]:
    """A folder that takes its name only when the block ends without an error.

    Until then what has that name stays as it was, and after an error nothing is left behind. A folder of that
    name goes with all that is in it: whoever calls this has seen what that is. Missing parent folders are
    made. All is on the disk before the folder has its name, and one step takes it from the old to the new.

    Args:
        path: the folder. A link is written through.
        replace: whether a folder of that name is replaced, if it is not empty.
        own: what such a folder may hold; by default anything.

    Yields:
        An empty folder to write into.

    Raises:
        ValueError: If a file has that name, or it is the working folder, which would be lost to the process.
        FileExistsError: If there is such a folder that holds something else than `own`, or, when the block
            ends, one that is not to be replaced.
        OSError: If it cannot be written.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_folder(pathlib.Path(folder, "model")) as model:
        ...         _ = (model / "weights").write_text("1")
        ...     sorted(found.name for found in pathlib.Path(folder).rglob("*"))
        ['model', 'weights']
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_dir():
        raise ValueError(f"a folder cannot replace a file. Received: path={str(path)!r}")
    if path == Path(os.path.realpath(os.curdir)):
        raise ValueError(
            f"a folder is replaced as a whole, which the working folder cannot be: name a folder in it. "
            f"Received: path={str(path)!r}"
        )
    found = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    if own is not None and (others := sorted(name for name in found if name not in own)):
        raise FileExistsError(
            f"what is there is replaced as a whole, so the folder must be new, empty or hold nothing but an "
            f"earlier one of its kind. Received: {path}, which holds {others[0]}"
        )
    with _told_of(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _told_of(path):
            scratch = stack.enter_context(scratch_folder(path.parent))
        try:
            yield scratch / CONTENT
        except OSError as error:
            if is_no_room(error):
                raise cannot_write(error, path) from error
            raise
        with _told_of(path):
            sync_tree(scratch / CONTENT)
            put_in_place(scratch, path, replace)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """Names the file as the user knows it in what goes wrong with it."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # it is told already
            raise
        raise cannot_write(error, path) from error
