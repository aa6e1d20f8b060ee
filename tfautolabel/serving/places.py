"""Finds models in folders with TensorFlow Serving's layout, `<name>/<version>/saved_model.pb`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tfautolabel._model_folder import GRAPH, is_version
from tfautolabel.runs.outputs import model_files


@dataclass(frozen=True)
class Place:
    """A path from the user, and what it holds.

    Attributes:
        kind: "models" for a folder of models, "model" for a folder of numbered versions, "version" for one of
            them.
        path: the folder.
        name: the model's name; empty for a folder of models.
    """

    kind: Literal["models", "model", "version"]
    path: Path
    name: str

    def models(self) -> Iterator[tuple[str, dict[int, Path]]]:
        """Yields the models that exist now: name, and a dict from version number to folder."""
        if self.kind == "models":
            for child in _folders(self.path):
                if _is_name(child.name) and (versions := _versions(child)):
                    yield child.name, versions
        elif self.kind == "model":
            yield self.name, _versions(self.path)
        else:
            number = int(self.path.name) if is_version(self.path.name) else 1
            yield self.name, {number: self.path} if self.path.is_dir() else {}


def find_places(arguments: Sequence[str]) -> list[Place]:
    """Finds out what each path holds.

    Args:
        arguments: folders of models, of one model, or of one version; NAME=PATH gives one model a name.

    Returns:
        One place for each path.

    Raises:
        FileNotFoundError: If there is no model at a path.
        ValueError: If a name cannot be part of an address or two models have the same name.
    """
    places = [_recognise(argument) for argument in arguments]
    taken: dict[str, Path] = {}
    for place in places:
        for name, _ in place.models():
            if name in taken:
                raise ValueError(
                    f"every model needs a name of its own, as in NAME=PATH. Received: {name!r} in both "
                    f"{taken[name]} and {place.path}"
                )
            taken[name] = place.path
    return places


def fingerprint(folder: Path) -> str:
    """Returns a string that changes when a file in a version folder is added, removed or rewritten."""
    digest = hashlib.sha256()
    been: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        try:
            here = os.stat(parent)
        except OSError:
            continue
        if (here.st_dev, here.st_ino) in been:  # a link that leads back
            folders.clear()
            continue
        been.add((here.st_dev, here.st_ino))
        folders.sort()
        digest.update(_look(os.path.join(parent, name) for name in sorted(files)))
    return digest.hexdigest()


def fingerprint_beside(folder: Path) -> str:
    """Returns the fingerprint of a run's files beside its model; they say whether the model belongs to it."""
    return hashlib.sha256(_look(map(os.fspath, model_files(folder)))).hexdigest()


def _look(paths: Iterable[str]) -> bytes:
    """Returns what the system says about files, without reading them; skips files that do not exist."""
    entries = []
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:
            continue
        # Includes the time of the last change of permissions: an unreadable file may be readable now.
        entry = (path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        entries.append(repr(entry).encode("utf-8", "surrogateescape"))
    return b"".join(entries)


def _recognise(argument: str) -> Place:
    name, equals, rest = argument.partition("=")
    # A path may hold an equals sign of its own.
    given = name if equals and not Path(argument).exists() else ""
    path = Path(rest if given else argument).expanduser()
    whole = path.resolve()
    kind: Literal["model", "version"]
    if (path / GRAPH).is_file():
        kind = "version"
        found = whole.parent.name if is_version(whole.name) else whole.name
    elif _versions(path):
        kind, found = "model", whole.name
    elif not given and any(_versions(child) for child in _folders(path)):
        return Place("models", path, "")
    else:
        if not path.exists():
            raise FileNotFoundError(f"there is no folder {str(path)!r}")
        raise FileNotFoundError(
            f"a model is a folder with numbered versions, such as saved_models/flowers/1/{GRAPH}. "
            f"Received: {argument}"
        )
    if not _is_name(given or found):
        raise ValueError(
            f"a model's name must not be empty, begin with a dot or contain / or :. "
            f"Received: {given or found!r}"
        )
    return Place(kind, whole if kind == "version" else path, given or found)


def _versions(folder: Path) -> dict[int, Path]:
    return {int(child.name): child for child in _folders(folder) if is_version(child.name)}


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if _is_folder(child))
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a link to a place that may not be read
        return False


def _is_name(name: str) -> bool:
    return bool(name) and not name.startswith(".") and not any(mark in name for mark in "/:")
