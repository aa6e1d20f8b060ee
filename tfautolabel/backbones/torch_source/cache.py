"""Where converted modules are kept: each in a folder that appears at once and whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._cache import cache_dir
from tfautolabel.data.atomic import atomic_folder

MODULE, RECORD = "module", "record.json"
"""In a folder: the SavedModel, and what is known about its conversion."""


def digest(*parts: Any) -> str:
    """32 hexadecimal digits of values that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_digest(value: np.ndarray) -> str:
    """The SHA-256 of an array's type, shape and content."""
    described = f"{value.dtype.str}{value.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(value).tobytes()).hexdigest()


def folder_of(key: str) -> Path:
    """Where a conversion is kept."""
    return cache_dir() / "torch" / key


def newest(beginning: str) -> str | None:
    """The key of the last sound conversion whose key begins in this way."""
    folders = (cache_dir() / "torch").glob(f"{beginning}*/{RECORD}")
    for record in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
        if read(record.parent.name) is not None:
            return record.parent.name
    return None


def read(key: str) -> dict[str, Any] | None:
    """The record of a conversion; None if there is none, or its files are not the ones that were written."""
    folder = folder_of(key)
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        sound = record["files"] == _digests(folder / MODULE)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if sound else None


def write(key: str, convert: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Lets a function write a SavedModel, and keeps it if the function returns.

    Several processes can do this at the same time: each writes a folder of its own and moves it into place.

    Args:
        key: the name of the folder.
        convert: writes into the folder that it is given and returns what is to be recorded.

    Returns:
        The record, with the SHA-256 of each file.
    """
    folder = folder_of(key)
    if folder.exists() and read(key) is None:
        # What lies there is damaged: an empty folder takes its place, which the new one may replace.
        with atomic_folder(folder):
            pass
    try:
        with atomic_folder(folder, replace=False) as unfinished:
            record = convert(unfinished / MODULE)
            record = {**record, "files": _digests(unfinished / MODULE)}
            (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    except FileExistsError:
        # Another process was quicker, and what it made is the same.
        if (existing := read(key)) is None:
            raise
        return existing
    return record


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
