"""Writes files and folders that appear complete or not at all."""

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
from tfautolabel._scratch import give_name, scratch_file, scratch_folder, temporary_folder
from tfautolabel.data.addresses import local_file, local_folder
from tfautolabel.data.places import Place

_OPTIONS: dict[str, dict[str, Any]] = {
    "w": {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""},
    "wb": {},
}
"""How `open` opens a file in each mode."""


@overload
def atomic_write(
    path: str | os.PathLike[str] | Place, mode: Literal["w"] = ...
) -> AbstractContextManager[TextIO]: ...
@overload
def atomic_write(
    path: str | os.PathLike[str] | Place, mode: Literal["wb"]
) -> AbstractContextManager[BinaryIO]: ...
def atomic_write(
    path: str | os.PathLike[str] | Place, mode: Literal["w", "wb"] = "w"
) -> AbstractContextManager[Any]:
    r"""Opens a file that gets its name only when the block ends without an error.

    Until then, an existing file of that name stays unchanged. After an error, nothing is left behind. Missing
    parent folders are made. Text is written as UTF-8, and line ends are not changed. A character that UTF-8
    cannot hold (a lone surrogate) becomes an escape.

    Args:
        path: the file. If it is a link, the file that it leads to is written, as `open` does. If it is a
            place in a store, a temporary file here is written, and put there as a whole.
        mode: "w" for text, "wb" for bytes, as for `open`.

    Returns:
        A context manager that gives the open file.

    Raises:
        ValueError: If `mode` has another value, a folder has that name, or it is an address: who writes to a
            store makes a `Place` of it, and looks at what is there.
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
    if isinstance(path, Place):
        return _put(path, mode)
    return _atomic_write(Path(os.path.realpath(local_file(path))), mode)


@contextmanager
def _atomic_write(path: Path, mode: str) -> Iterator[IO[Any]]:
    if path.is_dir():
        raise ValueError(f"a file cannot replace a folder. Received: path={str(path)!r}")
    options = _OPTIONS[mode]
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
def _put(place: Place, mode: str) -> Iterator[IO[Any]]:
    with temporary_folder() as folder:
        local = folder / "content"
        with open(local, mode, **_OPTIONS[mode]) as file:
            try:
                yield file
                file.flush()
            except OSError as error:
                if is_no_room(error):
                    raise cannot_write(error, folder.parent.parent) from error
                raise
        place.put(local)


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], replace: bool = True, own: Collection[str] | None = None
) -> Iterator[Path]:
    """Makes a folder that gets its name only when the block ends without an error.

    Until then, an existing folder of that name stays unchanged. After an error, nothing is left behind. An
    existing folder is replaced together with everything in it, so the caller must know what it holds. Missing
    parent folders are made. All data is on the disk before the folder gets its name, and a single step
    replaces the old folder by the new one.

    Args:
        path: the folder. If it is a link, the folder that it leads to is written.
        replace: whether an existing folder of that name may be replaced if it is not empty.
        own: the names that an existing folder may hold; by default any.

    Yields:
        An empty folder to write into.

    Raises:
        ValueError: If a file has that name, the path is the working folder, which the process would lose, or
            it is an address.
        FileExistsError: If the existing folder holds something that is not in `own`, or if at the end of the
            block there is a folder that must not be replaced.
        OSError: If it cannot be written.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with atomic_folder(pathlib.Path(folder, "model")) as model:
        ...         _ = (model / "weights").write_text("1")
        ...     sorted(found.name for found in pathlib.Path(folder).rglob("*"))
        ['model', 'weights']
    """
    path = Path(os.path.realpath(local_folder(path)))
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
    """Puts the path as the user knows it into the errors that concern it."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # the message names the path already
            raise
        raise cannot_write(error, path) from error
