"""Finds out whether a folder holds the beginning of the requested search."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._version import __version__
from tfautolabel.data.atomic import atomic_write
from tfautolabel.labeler import Labeler
from tfautolabel.tuning.fingerprint import UnknowableError, fingerprint_of

FILE = "search.json"
TRIALS = "trials"
"""The folder of keras-tuner's own files, in the folder of the search."""
FILES = (FILE, TRIALS, "trials.csv", "trials.json", "trials.svg", "tensorboard")
"""The files and folders of a search."""


@dataclass(frozen=True)
class Key:
    """Everything that determines the trials of a search, except their number.

    Attributes:
        parts: name of each part, such as "the seed", to a digest.
        unknowable: why a later search cannot be recognised as the same; None if it can.
    """

    parts: Mapping[str, str]
    unknowable: str | None = None


def key_of(
    labeler: Labeler,
    digest: str,
    class_ids: np.ndarray,
    class_weight: dict[int, float] | None,
    *,
    code: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Key:
    """Returns the key of a search.

    Args:
        labeler: what is tuned.
        digest: a digest of the examples' contents.
        class_ids: (n,) int64.
        class_weight: class id to weight.
        code: name to a function, a class or an object; its code counts too.
        settings: name to a value that is ready for JSON.
    """
    described = {
        "the backbone": labeler.backbone.fingerprint,
        "the examples": digest,
        "the labels": hashlib.sha256(np.ascontiguousarray(class_ids).tobytes()).hexdigest(),
        "the class weights": sorted((class_weight or {}).items()),
        "the seed": labeler.seed,
        "the version of tfautolabel": __version__,
        **settings,
    }
    parts, unknowable = {name: _digest(value) for name, value in described.items()}, None
    for name, value in code.items():
        try:
            parts[name] = fingerprint_of(value)
        except UnknowableError as error:
            unknowable = f"{name} cannot be compared with a later one: {error}"
    return Key(parts, unknowable)


def begun(folder: Path, key: Key) -> dict[str, Any] | None:
    """Returns what `mark` noted in this folder for a search with this key; None if there is none."""
    found = _marked(folder)
    same = key.unknowable is None and found.get("unknowable") is None and found.get("parts") == key.parts
    return found if same else None


def set_aside(folder: Path, key: Key) -> Path | None:
    """Moves the trials of another search away, and says so, because they may be hours of work.

    Args:
        folder: the folder of the search that will begin.
        key: the key of this search.

    Returns:
        Where the trials are now; None if there were none.
    """
    if not any(folder.glob(f"{TRIALS}/trial_*")):
        return None
    target = next(place for n in range(1, 10**6) if not (place := folder / f"earlier-{n}").exists())
    target.mkdir()
    for name in FILES:
        if (folder / name).exists():
            shutil.move(folder / name, target / name)
    warnings.warn(
        f"{folder} held the trials of another search, which were moved to {target.name} in it "
        f"({_difference(_marked(target), key)})",
        stacklevel=3,
    )
    return target


def mark(folder: Path, key: Key, **known: Any) -> None:
    """Marks a folder as that of a search; call it only after the trials of other searches are moved away.

    Args:
        folder: the folder of the search.
        key: the key from `key_of`.
        **known: what the search must know to continue, ready for JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / FILE) as file:
        file.write(json.dumps({"parts": dict(key.parts), "unknowable": key.unknowable, **known}) + "\n")


def warn_unknowable(key: Key, folder: Path) -> None:
    """Warns if a search cannot be continued later, and says what to do about it."""
    if key.unknowable is not None:
        warnings.warn(
            f"the search in {folder} cannot be gone on with later, because {key.unknowable}; a method "
            "fingerprint() of the hypermodel, which returns a string, says when it is the same",
            stacklevel=3,
        )


def check_adopted(tuner: Any, key: Key) -> None:
    """Marks the folder of a user's own tuner as that of a search.

    Raises:
        ValueError: If the folder holds trials of another search.
    """
    folder = Path(tuner.project_dir)
    if tuner.oracle.trials and begun(folder, key) is None:
        raise ValueError(
            "a tuner must be new or hold trials of this very search: make it with overwrite=True or another "
            f"project_name. Received: one with {len(tuner.oracle.trials)} trials in {folder} "
            f"({_difference(_marked(folder), key)})"
        )
    mark(folder, key)


def _marked(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _difference(found: dict[str, Any], key: Key) -> str:
    """Returns in words how a found search differs from the requested one."""
    unknowable = key.unknowable or found.get("unknowable")
    parts = found.get("parts")
    if not isinstance(parts, dict):
        return "nothing says what search they are of"
    names = [name for name in {**parts, **key.parts} if parts.get(name) != key.parts.get(name)]
    if unknowable is not None:
        return str(unknowable)
    return f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
