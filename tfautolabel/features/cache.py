"""Stores features on disk, under the backbone's fingerprint and the hash of the input.

Moved, renamed and duplicate files cost nothing, because their bytes are the same. A shard is two files in
NumPy's format: the rows, and an index of their keys and checksums. The index is written last, so a shard
exists only when it is complete. Every process writes its own shards and never changes one. So runs can share
a cache, and an interrupted run only loses rows that it had not written yet.

Little stays in memory, however many rows there are. A cache of a hundred million rows works as well as one
of a hundred.
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
from tfautolabel.features.place_index import PlaceIndex
from tfautolabel.features.shards import INDEX, ShardFiles, rows_file, sweep_rows

SHARD_ROWS = 4096
"""A shard is written when this many rows are waiting."""
SHARD_SECONDS = 30.0
"""A shard is also written when the oldest row has waited this long."""


def content_key(encoded: bytes) -> bytes:
    """Returns the key of an input: the 32 bytes of its SHA-256."""
    return hashlib.sha256(encoded).digest()


class CachedFeatures(NamedTuple):
    """The cached result of one input.

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
        fingerprint: the backbone's fingerprint.
        feature_dim: d.
        when_asked: whether shards are written by `flush` only.

    Attributes:
        damaged: number of damaged shards. Their lost rows are computed again.
    """

    def __init__(
        self, folder: str | os.PathLike[str], fingerprint: str, feature_dim: int, when_asked: bool = False
    ) -> None:
        self._folder = Path(folder) / fingerprint
        self._shards = ShardFiles(feature_dim)
        self._places = PlaceIndex(self._folder)
        self._waiting: dict[bytes, CachedFeatures] = {}
        self._waiting_since = 0.0
        self._when_asked = when_asked
        self.damaged = 0
        sweep_rows(self._folder)
        for index_file in sorted(self._folder.glob("*.index.npy")) if self._folder.is_dir() else ():
            self._take_in(index_file)

    def __len__(self) -> int:
        return len(self._places) + len(self._waiting)

    def get(self, key: bytes) -> CachedFeatures | None:
        """Returns what is stored under a key, or None if there is nothing or it is damaged."""
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
        """Adds (d,) float32 features. They are written to disk with their shard; see `when_asked`.

        Raises:
            OSError: If the shard is full and cannot be written.
        """
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting[key] = CachedFeatures(np.array(features, np.float32), shortened)
        if self._when_asked:
            return
        if len(self._waiting) >= SHARD_ROWS or time.monotonic() - self._waiting_since > SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes the waiting rows as a shard.

        Raises:
            OSError: If it cannot be written. The waiting rows are kept.
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
        # The index is started first and named last. Rows without an index are being written, or were
        # abandoned.
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
        """Moves the undamaged rows of a damaged shard to the next shard and drops the others."""
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
