"""Reads the folder of an exported model, `<name>/<version>/` with a description, without loading it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tfautolabel._errors import named
from tfautolabel._scratch import restore

GRAPH = "saved_model.pb"
DESCRIPTION = "labeler.json"
FORMAT_VERSION = 1
MAX_VERSION = 2**63 - 1
"""The largest version; versions are int64 in TensorFlow Serving's protocol."""

_ENTRIES = ("classes", "modality", "min_confidence", "limits", "requires")


def is_version(name: str) -> bool:
    """Returns whether a folder with this name is a version of the model in the parent folder.

    Examples:
        >>> [is_version(name) for name in ("1", "007", "-1", "1.0", "٣", str(2**63))]
        [True, True, False, False, False, False]
    """
    return name.isascii() and name.isdecimal() and len(name) < 20 and int(name) <= MAX_VERSION


def newest_version(folder: str | os.PathLike[str]) -> Path:
    """Returns the subfolder with the highest number, or the folder itself if there is none.

    Args:
        folder: a version folder or a model's folder; it need not exist.
    """
    folder = Path(folder)
    restore(folder)
    if (folder / GRAPH).is_file() or not folder.is_dir():
        return folder
    versions = [child for child in folder.iterdir() if is_version(child.name) and child.is_dir()]
    return max(versions, key=lambda child: int(child.name), default=folder)


def next_version(folder: str | os.PathLike[str]) -> Path:
    """Returns the folder for a new model: the folder itself if its name is a number, else the next number."""
    folder = Path(folder)
    if is_version(folder.name):
        return folder
    names = [child.name for child in folder.iterdir()] if folder.is_dir() else []
    return folder / str(max((int(name) for name in names if is_version(name)), default=0) + 1)


def read_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads labeler.json of an exported model.

    Args:
        folder: a version folder, or a model's folder, whose highest version is read.

    Raises:
        FileNotFoundError: If there is no exported model.
        ValueError: If the file is damaged or has another format.
    """
    given, folder = folder, newest_version(folder)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {os.fspath(given)!r}")
    if not (folder / GRAPH).is_file() or not (folder / DESCRIPTION).is_file():
        raise FileNotFoundError(
            f"an exported model is a folder with {GRAPH} and {DESCRIPTION}. Received: {folder}"
        )
    file = folder / DESCRIPTION
    try:
        description = dict(json.loads(file.read_text(encoding="utf-8")))
        version = description["format_version"]
        if version == FORMAT_VERSION:
            _ = [description[name] for name in _ENTRIES]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} does not describe an exported model ({named(error)})") from error
    if version != FORMAT_VERSION:
        raise ValueError(
            f"this version reads format {FORMAT_VERSION}. Received: {file} of format {version!r}"
        )
    return description


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Writes labeler.json into a version folder.

    Raises:
        OSError: If it cannot be written.
    """
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION).write_text(text, encoding="utf-8")
