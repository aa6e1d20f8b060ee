"""Which rows of a data set are read at a time: fewer where they are large."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.readers import ReadFailure

MAX_WAITING = 128 * 1024 * 1024
"""Bytes that are read, or made ready, at a time; an hour of sound has as many."""

FIRST = 1
"""Compressed sound does not show its size before it is decoded: so many rows are read at first."""


class RowGroups:
    """Ranges of rows, one after the other, each as large as what was read so far allows.

    Args:
        count: how many rows there are.
        size: the most rows in a range.
        first: the most in the first one.
    """

    def __init__(self, count: int, size: int, first: int | None = None) -> None:
        self._count, self._size = count, size
        self._next = size if first is None else min(first, size)

    def __iter__(self) -> Iterator[range]:
        start = 0
        while start < self._count:
            stop = min(start + self._next, self._count)
            yield range(start, stop)
            start = stop

    def took(self, values: Sequence[bytes | ReadFailure]) -> None:
        """Is told what was read, by which the next range is measured; it has at most twice as many rows."""
        largest = max((len(value) for value in values if not isinstance(value, ReadFailure)), default=0)
        fitting = MAX_WAITING // largest if largest else self._size
        self._next = max(1, min(fitting, self._size, 2 * max(len(values), 1)))


def row_groups(count: int, size: int, modality: str) -> RowGroups:
    """The ranges in which a data set is read.

    Args:
        count: how many rows there are.
        size: the most rows in a range.
        modality: "image", "text" or "audio".
    """
    return RowGroups(count, size, FIRST if modality == "audio" else None)


def read_in_groups(dataset: Dataset, size: int) -> Iterator[tuple[range, list[bytes | ReadFailure]]]:
    """Reads a whole data set, a range of rows at a time.

    Args:
        dataset: n examples.
        size: the most rows in a range.

    Yields:
        The rows, and what `Dataset.read` gives for them.
    """
    groups = row_groups(len(dataset), size, dataset.modality)
    for rows in groups:
        values = dataset.read(rows)
        groups.took(values)
        yield rows, values


def bytes_of(values: Sequence[bytes | ReadFailure]) -> int:
    """How many bytes were read."""
    return sum(len(value) for value in values if not isinstance(value, ReadFailure))
