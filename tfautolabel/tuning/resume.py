"""Whether a folder holds the beginning of the very search that is asked for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.atomic import atomic_write
from tfautolabel.labeler import Labeler

FILE = "search.json"


def key_of(
    labeler: Labeler, digest: str, class_ids: np.ndarray, class_weight: dict[int, float] | None, settings: Any
) -> str:
    """64 hexadecimal digits of all that decides the trials of a search, but for their number.

    Args:
        labeler: what is tuned.
        digest: of the examples' contents.
        class_ids: (n,) int64.
        class_weight: class id to weight.
        settings: of the search, ready for JSON.
    """
    described = {
        "backbone": labeler.backbone.fingerprint,
        "examples": digest,
        "class_ids": hashlib.sha256(np.ascontiguousarray(class_ids).tobytes()).hexdigest(),
        "class_weight": sorted((class_weight or {}).items()),
        "seed": labeler.seed,
        "settings": settings,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def begun(folder: Path, key: str) -> dict[str, Any] | None:
    """What `mark` was told in this folder of a search with this key; None if it holds no such search."""
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("key") == key else None


def mark(folder: Path, key: str, **known: Any) -> None:
    """Says that a folder is that of a search; only once trials of any other are gone from it.

    Args:
        folder: of the search.
        key: of `key_of`.
        **known: what the search has to know when it goes on, ready for JSON.
    """
    with atomic_write(folder / FILE) as file:
        file.write(json.dumps({"key": key, **known}) + "\n")
