"""Narrows a reader to a few rows, so that another process can read them.

What is sent leads to the inputs: paths below a folder, positions in a file, rows of a Parquet file. No other
process passes over the whole table. Only inputs that lie in this process's memory, or in a temporary copy of
a table, are sent themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from tfautolabel.data.readers import Reader, ReadFailure, SelectedReader, read_rows


@runtime_checkable
class Narrows(Protocol):
    """A reader that can be narrowed."""

    def only(self, rows: np.ndarray) -> Reader | None:
        """Returns a reader of some rows that pickle takes; None if their values must be sent.

        Args:
            rows: (m,) int64 in [0, len(reader)), distinct.
        """


class HeldReader:
    """Gives values that were read before, and the failures.

    Args:
        values: n values or failures.
    """

    def __init__(self, values: Sequence[bytes | ReadFailure]) -> None:
        self._values = tuple(values)

    def __len__(self) -> int:
        return len(self._values)

    def read(self, row: int) -> bytes:
        """The bytes of one row.

        Raises:
            ReadFailure: If it could not be read before.
        """
        value = self._values[row]
        if isinstance(value, ReadFailure):
            raise value
        return value


def narrowed(reader: Reader, rows: np.ndarray) -> Reader:
    """Returns a reader of some rows that pickle takes.

    Args:
        reader: the source of the rows.
        rows: (m,) int64 in [0, len(reader)), distinct.
    """
    if isinstance(reader, SelectedReader):
        return narrowed(reader.source, reader.rows[rows])
    found = reader.only(rows) if isinstance(reader, Narrows) else None
    return HeldReader(read_rows(reader, rows.tolist())) if found is None else found
