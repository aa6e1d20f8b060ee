"""Exported models in stores: each version is fetched once and kept in the cache under what it consists of."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tfautolabel._cache import cache_dir
from tfautolabel._model_folder import GRAPH, is_version
from tfautolabel.data.addresses import place_of
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.data.objects import READ_THREADS
from tfautolabel.data.places import Place, patiently


def local_model(model: str | os.PathLike[str] | Place) -> Path:
    """Returns a folder on this machine with an exported model.

    The cache has a folder for each content: a model that was replaced in the store is another one.

    Args:
        model: a version folder, or a model's folder, whose highest version is fetched. A local path is
            returned as it is.

    Raises:
        FileNotFoundError: If there is no exported model in the store.
        ValueError: If a name in the store would lead out of the folder.
        OSError: If it cannot be fetched, or was replaced meanwhile.
    """
    place = place_of(model)
    if isinstance(place, Path):
        return place
    place, paths = _version_in(place)
    identity = _identity(place, paths)
    folder = cache_dir() / "models" / identity / (place.name if is_version(place.name) else "model")
    if folder.is_dir():
        return folder
    with contextlib.suppress(FileExistsError), atomic_folder(folder, replace=False) as made:
        for path in paths:
            target = made / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as file:
                for piece in (place / path).pieces():
                    file.write(piece)
        if _identity(place, paths) != identity:
            raise ConnectionError(f"{place} was replaced while it was read: run the command again")
    return folder


def fetched_again(place: Place, folder: Path) -> Path:
    """Fetches a model that another machine has fetched before.

    Args:
        place: where it is.
        folder: where that machine has it.

    Raises:
        ValueError: If another one has taken its place since.
        OSError: If it cannot be fetched.
    """
    found = local_model(place)
    if found.parent.name != folder.parent.name:
        raise ValueError(f"the model {place} was replaced since the command began: run it again")
    return found


def _version_in(place: Place) -> tuple[Place, list[str]]:
    """Returns the place of the highest version, and the paths of its files below it."""
    try:
        paths = sorted(path for path, _ in place.objects())
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no folder {str(place)!r}") from None
    if GRAPH not in paths:
        versions = {
            path.split("/")[0] for path in paths if path.endswith(f"/{GRAPH}") and path.count("/") == 1
        }
        newest = max((name for name in versions if is_version(name)), key=int, default=None)
        if newest is None:
            raise FileNotFoundError(f"an exported model is a folder with {GRAPH}. Received: {place}")
        place = place / newest
        paths = [path.removeprefix(f"{newest}/") for path in paths if path.startswith(f"{newest}/")]
    for path in paths:
        if "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"{place} holds a file whose name leads out of the folder: {path!r}")
    return place, paths


def _identity(place: Place, paths: list[str]) -> str:
    """Returns 64 hexadecimal digits for the names of some files, and the store's tags of their contents."""

    def of_one(path: str) -> list[str]:
        version = patiently((place / path).version, str(place / path))
        return [path, *(f"{name}={value}" for name, value in sorted(version.items(), key=str))]

    with ThreadPoolExecutor(READ_THREADS) as pool:
        found = list(pool.map(of_one, paths))
    return hashlib.sha256(json.dumps([str(place), found]).encode()).hexdigest()
