"""An index of where the keys of a feature cache may be: short runs of it in memory, long ones on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_ROW_BITS = np.uint64(32)

LONG_RUN = 1 << 18
"""A run with more keys is on disk."""

FENCE = 256
"""Of a run on disk, every so many-th key is in memory."""

_ENTRY = np.dtype([("short", "<u8"), ("place", "<u8")])


class PlaceIndex:
    """An index of where keys may be, with a thirty-second of a byte of memory per key of a long run.

    It holds sorted runs of the keys' first 8 bytes. Each run is at most half as large as the one before, as
    in a log-structured merge tree (O'Neil et al. 1996, doi 10.1007/s002360050048). So adding a shard is
    cheap, and a search reads few runs. Long runs are temporary files, of which a search reads one block each.

    Args:
        folder: where the temporary files are made, if they can be; they have no names and vanish with the
            process. None keeps all in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._runs: list[_Held | _Filed] = []

    def __len__(self) -> int:
        """Returns the number of distinct keys."""
        return sum(len(np.unique(shorts)) for shorts, _ in _together(self._runs))

    def add(self, shard: int, keys: np.ndarray) -> None:
        """Adds a shard's (n,) keys of 32 bytes."""
        places = np.uint64(shard) << _ROW_BITS | np.arange(len(keys), dtype=np.uint64)
        shorts = _short(keys)
        order = np.argsort(shorts, kind="stable")
        self._runs.append(self._joined([_Held(shorts[order], places[order])]))
        while len(self._runs) > 1 and len(self._runs[-1]) * 2 > len(self._runs[-2]):
            late, early = self._runs.pop(), self._runs.pop()
            self._runs.append(self._joined([early, late]))

    def find(self, key: bytes) -> Iterator[tuple[int, int]]:
        """Yields each (shard, row) that may hold the key, the latest first."""
        short = _short(np.frombuffer(key, "V32"))[0]
        for run in reversed(self._runs):
            for place in run.places(short)[::-1].tolist():
                yield place >> 32, place & 0xFFFFFFFF

    def forget(self, shard: int) -> None:
        """Removes a shard's keys."""
        self._runs = [self._joined([run], without=shard) for run in self._runs]

    def _joined(self, runs: list[_Held | _Filed], without: int = -1) -> _Held | _Filed:
        """Joins runs; what is equal stays in their order."""
        filed = None
        if sum(map(len, runs)) > LONG_RUN and self._folder is not None:
            try:
                filed = _Filed(self._folder)
                for shorts, places in _together(runs):
                    filed.append(*_without(without, shorts, places))
            except OSError:  # a cache that cannot be written to is read all the same
                filed = None
        if filed is not None:
            return filed
        parts = [_without(without, *part) for part in _together(runs)]
        shorts, places = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
        return _Held(shorts, places)


class _Held:
    """A sorted run in memory.

    Args:
        shorts: (n,) uint64, ascending.
        places: (n,) uint64.
    """

    def __init__(self, shorts: np.ndarray, places: np.ndarray) -> None:
        self._shorts, self._places = shorts, places

    def __len__(self) -> int:
        return len(self._shorts)

    def between(self, low: np.uint64, high: np.uint64 | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns what is in [low, high); None is no limit."""
        first = int(np.searchsorted(self._shorts, low, side="left"))
        last = len(self) if high is None else int(np.searchsorted(self._shorts, high, side="left"))
        return self._shorts[first:last], self._places[first:last]

    def places(self, short: np.uint64) -> np.ndarray:
        """Returns the places of one short key, in the order in which they were added."""
        first = int(np.searchsorted(self._shorts, short, side="left"))
        return self._places[first : int(np.searchsorted(self._shorts, short, side="right"))]


class _Filed:
    """A sorted run in a file without a name.

    Args:
        folder: where the file is made.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open as long as the run lives
        self._count = 0
        self._fences = np.zeros(0, np.uint64)

    def append(self, shorts: np.ndarray, places: np.ndarray) -> None:
        """Adds keys that are not smaller than those before."""
        entries = np.empty(len(shorts), _ENTRY)
        entries["short"], entries["place"] = shorts, places
        self._file.write(entries.tobytes())
        self._file.flush()
        self._fences = np.concatenate([self._fences, shorts[-self._count % FENCE :: FENCE]])
        self._count += len(shorts)

    def __len__(self) -> int:
        return self._count

    def between(self, low: np.uint64, high: np.uint64 | None) -> tuple[np.ndarray, np.ndarray]:
        """Returns what is in [low, high); None is no limit."""
        # Equal keys may lie in several blocks, also before the first fence that is as large as they are.
        first = max(int(np.searchsorted(self._fences, low, side="left")) - 1, 0)
        last = len(self._fences) if high is None else int(np.searchsorted(self._fences, high, side="left"))
        return _Held(*self._read(first, last)).between(low, high)

    def places(self, short: np.uint64) -> np.ndarray:
        """Returns the places of one short key, in the order in which they were added."""
        first = max(int(np.searchsorted(self._fences, short, side="left")) - 1, 0)
        return _Held(*self._read(first, int(np.searchsorted(self._fences, short, side="right")))).places(
            short
        )

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def _read(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Reads the blocks from `first` to `last` - 1."""
        start, stop = first * FENCE, min(last * FENCE, self._count)
        size = max(stop - start, 0) * _ENTRY.itemsize
        entries = np.frombuffer(os.pread(self._file.fileno(), size, start * _ENTRY.itemsize), _ENTRY)
        return entries["short"], entries["place"]


def _together(runs: list[_Held | _Filed]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields the entries of all runs, sorted, some at a time; what is equal is in the order of the runs."""
    # The keys are digests, so that a share of all values holds that share of the keys.
    parts = max(1, -(-sum(map(len, runs)) // LONG_RUN))
    for part in range(parts):
        low = np.uint64((part << 64) // parts)
        high = None if part + 1 == parts else np.uint64((part + 1 << 64) // parts)
        found = [run.between(low, high) for run in runs]
        shorts, places = (
            np.concatenate([np.zeros(0, np.uint64), *(one[at] for one in found)]) for at in (0, 1)
        )
        order = np.argsort(shorts, kind="stable")
        yield shorts[order], places[order]


def _without(shard: int, shorts: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if shard < 0:
        return shorts, places
    kept = places >> _ROW_BITS != np.uint64(shard)
    return shorts[kept], places[kept]


def _short(keys: np.ndarray) -> np.ndarray:
    """Returns the first 8 bytes of (n,) keys as (n,) uint64."""
    return np.ascontiguousarray(keys).view("<u8").reshape(-1, 4)[:, 0].astype(np.uint64)
