"""Features on disk, found by what they were computed from: the backbone's fingerprint and the input's hash.

Moved, renamed and duplicate files cost nothing, because their bytes are the same. A shard is two files in
NumPy's own format: the rows, and an index of their keys and checksums that is written last, so a shard exists
only when it is whole. Every process writes shards of its own and never changes one, so runs can share a
cache, and one that is interrupted loses at most what it had not written yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfautolabel.data.atomic import atomic_write

_INDEX = np.dtype([("key", "V32"), ("checksum", "<u4")])
SHARD_ROWS = 4096
"""A shard is written when this many rows wait."""
SHARD_SECONDS = 30.0
"""Or when the oldest one has waited this long."""
_MAPPED_BYTES = 4 * 1024 * 1024
"""A larger shard is memory-mapped; a smaller one is read, which costs no file descriptor."""


def content_key(encoded: bytes) -> bytes:
    """The 32 bytes that stand for an input: its SHA-256."""
    return hashlib.sha256(encoded).digest()


@dataclass(frozen=True, eq=False)
class _Shard:
    index_file: Path
    index: np.ndarray
    rows: np.ndarray

    def is_sound(self, row: int) -> bool:
        return zlib.crc32(self.rows[row].tobytes()) == self.index["checksum"][row]


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
        self._feature_dim = feature_dim
        self._places: dict[bytes, tuple[_Shard, int]] = {}
        self._waiting: dict[bytes, np.ndarray] = {}
        self._waiting_since = 0.0
        self.damaged = 0
        for index_file in sorted(self._folder.glob("*.index.npy")) if self._folder.is_dir() else ():
            self._open_shard(index_file)

    def __len__(self) -> int:
        return len(self._places.keys() | self._waiting.keys())

    def get(self, key: bytes) -> np.ndarray | None:
        """The (d,) float32 features stored under a key, or None if there are none or they are damaged."""
        place = self._places.get(key)
        if place is not None:
            shard, row = place
            if shard.is_sound(row):
                return shard.rows[row]
            self._retire(shard)
        return self._waiting.get(key)

    def put(self, key: bytes, features: np.ndarray) -> None:
        """Takes (d,) float32 features; they reach the disk with their shard.

        Raises:
            OSError: If the shard is full and cannot be written.
        """
        if not self._waiting:
            self._waiting_since = time.monotonic()
        self._waiting[key] = np.array(features, np.float32)
        if len(self._waiting) >= SHARD_ROWS or time.monotonic() - self._waiting_since > SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what waits as a shard.

        Raises:
            OSError: If it cannot be written; what waits is kept.
        """
        if not self._waiting:
            return
        rows = np.stack(list(self._waiting.values())).astype(np.float32)
        index = np.empty(len(rows), _INDEX)
        index["key"] = np.array([np.void(key) for key in self._waiting], "V32")
        index["checksum"] = [zlib.crc32(row.tobytes()) for row in rows]
        index_file = self._folder / f"{uuid.uuid4().hex}.index.npy"
        for file, array in ((_rows_file(index_file), rows), (index_file, index)):
            with atomic_write(file, "wb") as stream:
                np.save(stream, array, allow_pickle=False)
        self._waiting = {}
        self._open_shard(index_file)

    def _open_shard(self, index_file: Path) -> None:
        rows_file = _rows_file(index_file)
        try:
            index = np.load(index_file, allow_pickle=False)
            large = rows_file.stat().st_size > _MAPPED_BYTES
            rows = np.load(rows_file, mmap_mode="r" if large else None, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            index = rows = np.empty(0)
        if index.dtype != _INDEX or rows.dtype != np.float32 or rows.shape != (len(index), self._feature_dim):
            self.damaged += 1
            self._remove(index_file)
            return
        shard = _Shard(index_file, index, rows)
        for row, key in enumerate(index["key"].tolist()):
            self._places[key] = (shard, row)

    def _retire(self, shard: _Shard) -> None:
        """Moves the sound rows of a damaged shard to the next one and forgets the others."""
        self.damaged += 1
        for row, key in enumerate(shard.index["key"].tolist()):
            if self._places.get(key) == (shard, row):
                del self._places[key]
                if shard.is_sound(row):
                    self._waiting[key] = np.array(shard.rows[row])
        self._remove(shard.index_file)

    def _remove(self, index_file: Path) -> None:
        # Where the cache may not be written the damage stays, and is found again the next time.
        with contextlib.suppress(OSError):
            index_file.unlink(missing_ok=True)
            _rows_file(index_file).unlink(missing_ok=True)


def _rows_file(index_file: Path) -> Path:
    return index_file.with_name(index_file.name.replace(".index.npy", ".rows.npy"))
