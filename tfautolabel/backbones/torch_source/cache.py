"""Keeps converted modules on disk. Each has a folder, which appears in one step and complete."""

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
"""Names inside a folder: the SavedModel, and the record of its conversion."""


def digest(*parts: Any) -> str:
    """Returns a hash of values that JSON can hold: 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_digest(value: np.ndarray) -> str:
    """Returns the SHA-256 of an array's type, shape and content."""
    described = f"{value.dtype.str}{value.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(value).tobytes()).hexdigest()


def folder_of(key: str) -> Path:
    """Returns the folder of a conversion."""
    return cache_dir() / "torch" / key


def newest(beginning: str) -> str | None:
    """Returns the key of the latest undamaged conversion whose key has this beginning."""
    folders = (cache_dir() / "torch").glob(f"{beginning}*/{RECORD}")
    for record in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True):
        if read(record.parent.name) is not None:
            return record.parent.name
    return None


def read(key: str) -> dict[str, Any] | None:
    """Returns a conversion's record. Returns None if there is none or its files have changed."""
    folder = folder_of(key)
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        sound = record["files"] == _digests(folder / MODULE)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if sound else None


def write(key: str, convert: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Calls a function that writes a SavedModel, and keeps the result if the function returns.

    Several processes can do this at the same time. Each writes its own folder and moves it into place.

    Args:
        key: the name of the folder.
        convert: writes into the given folder and returns the record.

    Returns:
        The record, with the SHA-256 of each file.
    """
    folder = folder_of(key)
    if folder.exists() and read(key) is None:
        # The existing folder is damaged. An empty folder takes its place, and the new one can replace that.
        with atomic_folder(folder):
            pass
    try:
        with atomic_folder(folder, replace=False) as unfinished:
            record = convert(unfinished / MODULE)
            record = {**record, "files": _digests(unfinished / MODULE)}
            (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    except FileExistsError:
        # Another process was faster, and its result is the same.
        if (existing := read(key)) is None:
            raise
        return existing
    return record


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
