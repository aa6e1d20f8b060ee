"""The record of a run, run.json; only this module reads and writes it."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tfautolabel._version import __version__
from tfautolabel.data.atomic import atomic_write
from tfautolabel.runs.files import RECORD
from tfautolabel.runs.settings import RunSettings

FORMAT_VERSION = 2
"""Records of version 1 had no such entry; predictions were named labels.csv and labels.parquet."""

ENTRIES = ("id", "files", "versions", "inputs", "settings", "backbone", "counts", "cross_validation")
"""The entries that every record has."""

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def read_record(out: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the content of run.json.

    Raises:
        FileNotFoundError: If the folder holds no run.
        ValueError: If the record is damaged, has another format, or lacks entries of a run.
    """
    file = Path(out) / RECORD
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"a folder that `tfautolabel run` wrote holds {RECORD}. Received: {out}, which has none"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{RECORD} must be what a run writes ({error}). Received: {file}") from error
    try:
        record: dict[str, Any] = json.loads(text)
        _check_version(record, file)
        _ = [record["counts"]["classes"], *(record[name] for name in ENTRIES)]
        if "rejected" in record["counts"]:  # its earlier name
            record["counts"]["unreadable"] = record["counts"].pop("rejected")
        settings_of(record)
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{RECORD} must be what a run writes ({error!r}). Received: {file}") from error
    return record


def write_record(record: dict[str, Any], out: str | os.PathLike[str]) -> None:
    """Writes run.json.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_write(Path(out) / RECORD) as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def settings_of(record: dict[str, Any]) -> RunSettings:
    """Returns the settings that a run was given."""
    return RunSettings.from_dict(record["settings"])


def versions() -> dict[str, str]:
    """Returns the versions of the software that decides the results."""
    return {"tfautolabel": __version__, "python": platform.python_version()} | {
        package: version(package) for package in PACKAGES
    }


def _check_version(record: Any, file: Path) -> None:
    found = record.get("format_version", 1 if "settings" in record else None)
    if found is None:
        raise KeyError("format_version")
    if found != FORMAT_VERSION:
        raise ValueError(
            f"a record of format {FORMAT_VERSION} is needed: run again into a new folder. Received: {file} "
            f"of format {found}, which another version of tfautolabel wrote"
        )
