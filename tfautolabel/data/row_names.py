"""Names of a long table's rows that are their numbers; they are made when they are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tfautolabel.data.row_runs import LONG, RowRuns

_AT_ONCE = 65_536


class RowNames:
    """The numbers of rows as names. It is read like an (n,) array of NumPy's `StringDType`.

    Few rows of it are such an array. What NumPy does to all of it makes all names, for a while.

    Args:
        rows: the n rows.
    """

    dtype = np.dtypes.StringDType()
    ndim = 1

    def __init__(self, rows: RowRuns) -> None:
        self._rows = rows

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (len(self._rows),)

    @property
    def size(self) -> int:
        """How many names there are."""
        return len(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, places: Any) -> Any:
        """Returns the name at a place, or the names at some places."""
        if isinstance(places, RowRuns):
            return RowNames(self._rows.select(places))
        if isinstance(places, slice) and places == slice(None):
            return self
        found = self._rows[places]
        if isinstance(found, int):
            return str(found)
        if len(found) > LONG and (np.diff(found) > 0).all():
            return RowNames(RowRuns.of(found))
        return found.astype(self.dtype)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            yield from map(str, self._rows[start : start + _AT_ONCE].tolist())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        found: np.ndarray = self._rows[:].astype(self.dtype if dtype is None else dtype)
        return found

    def __eq__(self, other: object) -> Any:
        return np.asarray(self) == other

    def __ne__(self, other: object) -> Any:
        return np.asarray(self) != other

    __hash__ = None  # type: ignore[assignment] # as of an array

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with any name."""
        runs = np.stack([self._rows.starts, self._rows.stops]).astype("<i8")
        return hashlib.sha256(b"row numbers" + runs.tobytes()).hexdigest()

    def tolist(self) -> list[str]:
        """Returns all names."""
        return list(self)
