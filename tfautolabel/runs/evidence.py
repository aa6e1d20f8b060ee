"""Keeps a run's results from features for the report: predictions of the labelled examples, and a map."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.data.atomic import atomic_write

FORMAT_VERSION = 1
_ARRAYS = {
    "labelled_class_ids": np.int64,
    "out_of_fold": np.float32,
    "points": np.float32,
    "point_class_ids": np.int64,
    "point_confidence": np.float32,
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """Predictions of the labelled examples, and the positions of examples on a map.

    Attributes:
        labelled_ids: m names.
        labelled_class_ids: (m,) int64 in [0, k), the given labels.
        out_of_fold: (m, k) float32, each row predicted by a head that has not seen the example.
        point_ids: p names, of labelled examples and of some examples from the pool.
        points: (p, 2) float32, positions on a map where similar examples are near each other.
        point_class_ids: (p,) int64, the given or predicted label.
        point_confidence: (p,) float32, the prediction's confidence; NaN if the label was given.
    """

    labelled_ids: tuple[str, ...]
    labelled_class_ids: np.ndarray
    out_of_fold: np.ndarray
    point_ids: tuple[str, ...]
    points: np.ndarray
    point_class_ids: np.ndarray
    point_confidence: np.ndarray

    def __post_init__(self) -> None:
        m, p = len(self.labelled_ids), len(self.point_ids)
        agree = (
            self.labelled_class_ids.shape == (m,)
            and self.out_of_fold.ndim == 2
            and len(self.out_of_fold) == m
            and self.points.shape == (p, 2)
            and self.point_class_ids.shape == self.point_confidence.shape == (p,)
        )
        if not agree:
            shapes = {name: getattr(self, name).shape for name in _ARRAYS}
            raise ValueError(
                f"evidence of {m} examples and {p} points needs a row for each. Received: shapes {shapes}"
            )


def save_evidence(evidence: Evidence, path: str | os.PathLike[str], run_id: str = "") -> None:
    """Writes a compressed .npz file without Python objects.

    Args:
        evidence: the evidence to keep.
        run_id: the id of its run.
        path: the file; missing folders are made.

    Raises:
        OSError: If the file cannot be written.
    """
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(evidence, name), kind) for name, kind in _ARRAYS.items()
    }
    with atomic_write(path, "wb") as file:
        np.savez_compressed(
            file,
            format_version=np.array(FORMAT_VERSION),
            run_id=np.array(run_id),
            labelled_ids=_packed(evidence.labelled_ids),
            point_ids=_packed(evidence.point_ids),
            **arrays,
        )


def read_evidence(path: str | os.PathLike[str]) -> Evidence:
    """Reads what `save_evidence` wrote; nothing is unpickled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged or has another format.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            version = int(stored["format_version"])
            if version != FORMAT_VERSION:
                raise ValueError(f"this version reads format {FORMAT_VERSION}, not {version}")
            arrays: dict[str, Any] = {name: stored[name].astype(kind) for name, kind in _ARRAYS.items()}
            names: dict[str, Any] = {name: _unpacked(stored[name]) for name in ("labelled_ids", "point_ids")}
        return Evidence(**names, **arrays)
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged archive can raise any error
        raise ValueError(f"a run's evidence must be whole ({error}). Received: {os.fspath(path)}") from error


def _packed(names: Sequence[str]) -> np.ndarray:
    """Packs names as the bytes of a JSON list: NumPy's fixed-width strings would lose NULs at the end."""
    return np.frombuffer(json.dumps([str(name) for name in names]).encode(), np.uint8)


def _unpacked(stored: np.ndarray) -> tuple[str, ...]:
    return tuple(json.loads(stored.tobytes()))
