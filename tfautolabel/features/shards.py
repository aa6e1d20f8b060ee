"""Manages the files of a feature cache, with a few open at a time."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from pathlib import Path

import numpy as np

from tfautolabel._scratch import scratch_in, sweep

INDEX = np.dtype([("key", "V32"), ("checksum", "<u4"), ("shortened", "u1")])
"""One entry of a shard's index, for one row."""

OPEN_SHARDS = 8
"""The most shards that are mapped into memory at a time."""


def rows_file(index_file: Path) -> Path:
    """Returns the file of features that belongs to an index."""
    return index_file.with_name(index_file.name.replace(".index.npy", ".rows.npy"))


def sweep_rows(folder: Path) -> None:
    """Removes files of features without an index, left by a process that died before it wrote one."""
    lonely = [file for file in folder.glob("*.rows.npy") if not _index_file(file).exists()]
    if not lonely:
        return
    sweep(folder)
    # A live process would have its index among the files in progress, or finished by now; see
    # `FeatureCache.flush`.
    if not scratch_in(folder):
        for file in lonely:
            if not _index_file(file).exists():
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)


def _index_file(file: Path) -> Path:
    return file.with_name(file.name.replace(".rows.npy", ".index.npy"))


class ShardFiles:
    """Numbered shards on disk. The most recently used ones are mapped into memory.

    Args:
        feature_dim: d.
    """

    def __init__(self, feature_dim: int) -> None:
        self._feature_dim = feature_dim
        self._files: list[Path] = []
        self._open: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def add(self, index_file: Path) -> int:
        """Adds a shard and returns its number."""
        self._files.append(index_file)
        return len(self._files) - 1

    def open(self, shard: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the (n,) `INDEX` and the (n, d) float32 features of a shard.

        Raises:
            OSError: If a file cannot be read.
            ValueError: If the files do not hold such arrays.
        """
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        try:
            index = np.load(self._files[shard], allow_pickle=False)
            rows = np.load(rows_file(self._files[shard]), mmap_mode="r", allow_pickle=False)
        except EOFError as error:  # NumPy raises it for an empty file
            raise ValueError("an empty file") from error
        if index.dtype != INDEX or rows.dtype != np.float32 or rows.shape != (len(index), self._feature_dim):
            raise ValueError("index and rows do not belong together")
        self._open[shard] = index, rows
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return index, rows

    def remove(self, shard: int) -> None:
        """Deletes a shard's files."""
        self._open.pop(shard, None)
        # If the cache is read-only, the damage stays and is found again the next time.
        with contextlib.suppress(OSError):
            self._files[shard].unlink(missing_ok=True)
            rows_file(self._files[shard]).unlink(missing_ok=True)
