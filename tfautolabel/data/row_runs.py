"""Rows of a long table in little memory: as runs of consecutive rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

LONG = 1 << 18
"""From so many rows on, row numbers, names that are numbers, and missing labels are not held row by row."""

_AT_ONCE = 65_536


class RowRuns:
    """Ascending, distinct rows as runs. It is read like an (m,) int64 array, and never changes.

    A run takes 24 bytes, however long it is: all rows of a table but a few take next to nothing.

    Args:
        starts: the first row of each run, ascending.
        stops: the row behind the last one of each run.
    """

    def __init__(self, starts: Any, stops: Any) -> None:
        self.starts, self.stops = np.asarray(starts, np.int64), np.asarray(stops, np.int64)
        self._ends = np.cumsum(self.stops - self.starts)

    @classmethod
    def first(cls, count: int) -> RowRuns:
        """Returns the rows from 0 to `count` - 1."""
        return cls([0], [count]) if count else cls([], [])

    @classmethod
    def of(cls, rows: np.ndarray) -> RowRuns:
        """Returns (m,) ascending, distinct rows as runs."""
        if not len(rows):
            return cls([], [])
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        return cls(rows[np.concatenate([[0], breaks])], rows[np.concatenate([breaks - 1, [-1]])] + 1)

    def but(self, places: np.ndarray) -> RowRuns:
        """Returns these rows without those at (k,) ascending places."""
        starts = np.concatenate([[0], np.asarray(places, np.int64) + 1])
        stops = np.concatenate([np.asarray(places, np.int64), [len(self)]])
        kept = starts < stops
        return self.select(RowRuns(starts[kept], stops[kept]))

    def select(self, places: RowRuns) -> RowRuns:
        """Returns the rows at some places."""
        if len(self.starts) == 1:
            return RowRuns(places.starts + self.starts[0], places.stops + self.starts[0])
        return RowRuns.of(self[np.asarray(places)])

    def places(self, rows: np.ndarray) -> np.ndarray:
        """Returns the place of each of (k,) rows among these, -1 for one that is none of them."""
        runs = np.searchsorted(self.starts, rows, side="right") - 1
        if not len(self.starts):
            return runs
        return np.where(
            (runs >= 0) & (rows < self.stops[runs]), self._ends[runs] - self.stops[runs] + rows, -1
        )

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, places: Any) -> Any:
        """Returns the rows at some places: an int for an int, else an int64 array.

        Raises:
            IndexError: If a place is not in [0, m).
        """
        if isinstance(places, (int, np.integer)):
            return int(self[np.array([places if places >= 0 else places + len(self)])][0])
        if isinstance(places, slice):
            places = np.arange(*places.indices(len(self)))
        places = np.asarray(places)
        places = np.flatnonzero(places) if places.dtype == bool else places.astype(np.int64)
        if len(places) and not (places.min() >= 0 and places.max() < len(self)):
            raise IndexError(f"places must lie in [0, {len(self) - 1}]. Received: {places.min()} or more")
        runs = np.searchsorted(self._ends, places, side="right")
        return self.stops[runs] - (self._ends[runs] - places)

    def __iter__(self) -> Iterator[int]:
        for start in range(0, len(self), _AT_ONCE):
            yield from self[start : start + _AT_ONCE].tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


Rows = np.ndarray | RowRuns
"""(m,) rows."""


def rows_at(rows: Rows, places: Rows) -> Rows:
    """Returns the rows at some places, as runs if both are runs."""
    if isinstance(rows, RowRuns) and isinstance(places, RowRuns):
        return rows.select(places)
    found: np.ndarray = rows[np.asarray(places)]
    return found


class RunCollector:
    """Collects ascending rows, one after the other, as runs."""

    def __init__(self) -> None:
        self._starts, self._stops = array("q"), array("q")
        self._start = self._stop = 0

    def add(self, row: int, count: int = 1) -> None:
        """Adds `count` rows from `row` on, which lie behind all rows so far."""
        if row != self._stop:
            self._close()
            self._start = row
        self._stop = row + count

    def finish(self) -> RowRuns:
        """Returns all rows that were added."""
        self._close()
        self._start = self._stop
        return RowRuns(np.array(self._starts, np.int64), np.array(self._stops, np.int64))

    def _close(self) -> None:
        if self._stop > self._start:
            self._starts.append(self._start)
            self._stops.append(self._stop)
