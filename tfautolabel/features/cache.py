"""Features on disk, found by what they were computed from: the backbone's fingerprint and the input's hash.

Moved, renamed and duplicate files cost nothing, because their bytes are the same. A shard is two files in
NumPy's own format: the rows, and an index of their keys and checksums that is written last, so a shard exists
only when it is whole. Every process writes shards of its own and never changes one, so runs can share a
cache, and one that is interrupted loses at most what it had not written yet.

Of each row only a few bytes stay in memory: a cache of ten million rows is as usable as one of a hundred.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tfautolabel.data.atomic import atomic_write
from tfautolabel.features.shards import INDEX, PlaceIndex, ShardFiles, rows_file, sweep_rows

SHARD_ROWS = 4096
"""A shard is written when this many rows wait."""
SHARD_SECONDS = 30.0
"""Or when the oldest one has waited this long."""


def content_key(encoded: bytes) -> bytes:
    """The 32 bytes that stand for an input: its SHA-256."""
    return hashlib.sha256(encoded).digest()


class CachedFeatures(NamedTuple):
    """What is kept of one input.

    Attributes:
        features: (d,) float32.
        shortened: whether the backbone saw only part of the input.
    """

    features: np.ndarray
    shortened: bool


class FeatureCache:
    """Cached features of one backbone.

    Args:
        folder: the cache's folder for features, shared by all backbones.
        fingerprint: the backbone's.
        feature_dim: d.

    Attributes:
        damaged: how many shards were found damaged; the rows they lost are computed again.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str, feature_dim: int) -> None:
        self._folder = Path(folder) / fingerprint
        self._shards = ShardFiles(feature_dim)
        self._places = PlaceIndex()
        self._waiting: dict[bytes, CachedFeatures] = {}
        self._waiting_since = 0.0
        self.damaged = 0
        sweep_rows(self._folder)
        for index_file in sorted(self._folder.glob("*.index.npy")) if self._folder.is_dir() else ():
            self._take_in(index_file)

    def __len__(self) -> int:
        return len(self._places) + len(self._waiting)

    def get(self, key: bytes) -> CachedFeatures | None:
        """What is stored under a key, or None if there is nothing or it is damaged."""
        for shard, row in self._places.find(key):
            try:
                index, rows = self._shards.open(shard)
            except (OSError, ValueError):
                self._retire(shard)
                continue
            if index["key"][row].tobytes() != key:
                continue
            if _is_sound(index, rows, row):
                return CachedFeatures(rows[row], bool(index["shortened"][row]))
            self._retire(shard)
        return self._waiting.get(key)

    def put(self, key: bytes, features: np.ndarray, shortened: bool = False) -> None:
        """Takes (d,) float32 features; they reach the disk with their shard.

        Raises:
            OSError: If the shard is full and cannot be written.
        """
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting[key] = CachedFeatures(np.array(features, np.float32), shortened)
        if len(self._waiting) >= SHARD_ROWS or time.monotonic() - self._waiting_since > SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what waits as a shard.

        Raises:
            OSError: If it cannot be written; what waits is kept.
        """
        if not self._waiting:
            return
        rows = np.stack([cached.features for cached in self._waiting.values()]).astype(np.float32)
        index = np.empty(len(rows), INDEX)
        index["key"] = np.array([np.void(key) for key in self._waiting], "V32")
        index["shortened"] = [cached.shortened for cached in self._waiting.values()]
        index["checksum"] = [
            _checksum(row, shortened) for row, shortened in zip(rows, index["shortened"], strict=True)
        ]
        index_file = self._folder / f"{uuid.uuid4().hex}.index.npy"
        # The index is begun first and named last: rows without one are being written, or were left behind.
        with atomic_write(index_file, "wb") as stream:
            with atomic_write(rows_file(index_file), "wb") as rows_stream:
                np.save(rows_stream, rows, allow_pickle=False)
            np.save(stream, index, allow_pickle=False)
        self._waiting = {}
        self._take_in(index_file)

    def _take_in(self, index_file: Path) -> None:
        shard = self._shards.add(index_file)
        try:
            index, _ = self._shards.open(shard)
        except (OSError, ValueError):
            self.damaged += 1
            self._shards.remove(shard)
            return
        self._places.add(shard, index["key"])

    def _retire(self, shard: int) -> None:
        """Moves the sound rows of a damaged shard to the next one and forgets the others."""
        self.damaged += 1
        self._places.forget(shard)
        with contextlib.suppress(OSError, ValueError):
            index, rows = self._shards.open(shard)
            for row, key in enumerate(index["key"].tolist()):
                if key not in self._waiting and _is_sound(index, rows, row):
                    features = np.array(rows[row])
                    self._waiting[key] = CachedFeatures(features, bool(index["shortened"][row]))
        self._shards.remove(shard)


def _is_sound(index: np.ndarray, rows: np.ndarray, row: int) -> bool:
    return _checksum(rows[row], index["shortened"][row]) == int(index["checksum"][row])


def _checksum(features: np.ndarray, shortened: np.uint8) -> int:
    return zlib.crc32(shortened.tobytes(), zlib.crc32(features.tobytes()))
