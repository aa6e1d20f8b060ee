"""Where converted modules are kept: each in a folder that appears at once and whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._cache import cache_dir

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
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder.parent))
    try:
        record = convert(unfinished / MODULE)
        record = {**record, "files": _digests(unfinished / MODULE)}
        (unfinished / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        while not _moved(unfinished, folder):
            existing = read(key)
            if existing is not None:
                return existing
            # What lies there is damaged: it goes, under a name of its own.
            _set_aside(folder)
        return record
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _moved(source: Path, target: Path) -> bool:
    """Whether a folder could take its place, which it cannot if there is one already."""
    try:
        os.rename(source, target)
    except OSError:
        if not target.exists():
            raise
        return False
    return True


def _set_aside(folder: Path) -> None:
    away = Path(tempfile.mkdtemp(prefix=".damaged-", dir=folder.parent))
    try:
        os.rename(folder, away / folder.name)
    except FileNotFoundError:
        pass  # Another process was quicker.
    finally:
        shutil.rmtree(away, ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in files}
