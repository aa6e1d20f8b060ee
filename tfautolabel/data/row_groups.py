"""Which rows of a data set are read at a time: fewer where they are large."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from tfautolabel._ahead import map_ahead
from tfautolabel.data.dataset import Dataset
from tfautolabel.data.made_readable import made_readable
from tfautolabel.data.readers import ReadFailure, read_within

MAX_WAITING = 128 * 1024 * 1024
"""Bytes that are read, or made ready, at a time; an hour of sound has nearly as many."""

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
        self._read = 0

    def __iter__(self) -> Iterator[range]:
        start = 0
        while start < self._count:
            stop = min(start + self._next, self._count)
            self._read = stop - start
            yield range(start, stop)
            start += self._read

    def took(self, values: Sequence[bytes | ReadFailure]) -> None:
        """Is told what was read of the last range, its first rows at least.

        The next range begins behind them, and is measured by them; it has at most twice as many rows.
        """
        self._read = len(values)
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
        values = _read(dataset, rows, None)
        groups.took(values)
        yield rows[: len(values)], values
        del values  # before the next ones are read


def _read(dataset: Dataset, rows: range, sample_rate: int | None) -> list[bytes | ReadFailure]:
    """What `Dataset.read` gives for some rows; of sound only for the first, as many as may be in memory."""
    if dataset.modality != "audio":
        return dataset.read(rows, sample_rate)
    # After short clips a range has many rows, and each of these may be an hour long.
    return read_within(dataset.reader, rows, made_readable("audio", sample_rate), MAX_WAITING)


def read_ahead(
    dataset: Dataset,
    size: int,
    sample_rate: int | None = None,
    key: Callable[[bytes], bytes] = lambda _: b"",
) -> Iterator[list[tuple[int, bytes | ReadFailure, bytes]]]:
    """Reads a whole data set in a thread of its own, some rows ahead of what is worked on.

    Args:
        dataset: n examples.
        size: the most rows at a time.
        sample_rate: as `Dataset.read` takes it.
        key: made of the bytes of each row, in that thread.

    Yields:
        Of some rows each: the row, what `Dataset.read` gives for it, and its key, empty for a failure.
    """
    groups = row_groups(len(dataset), size, dataset.modality)
    ranges = iter(groups)
    changed = threading.Condition()
    held, last, ended = 0, 0, False  # bytes that wait or are worked on, and those of the last range

    def read(_: None) -> list[tuple[int, bytes | ReadFailure, bytes]]:
        nonlocal held, last, ended
        with changed:
            changed.wait_for(lambda: ended or held == 0 or held + last <= MAX_WAITING)
        # Where a range begins is known when the one before it was read, so that it is asked for here.
        rows = None if ended else next(ranges, None)
        if rows is None:
            ended = True
            return []
        values = _read(dataset, rows, sample_rate)
        groups.took(values)
        keys = [b"" if isinstance(value, ReadFailure) else key(value) for value in values]
        with changed:
            last = bytes_of(values)
            held += last
        return list(zip(rows, values, keys, strict=False))

    found = map_ahead(read, _until(lambda: ended))
    try:
        for some in found:
            size_of_some = bytes_of([value for _, value, _ in some])
            if some:
                yield some
            del some
            with changed:
                held -= size_of_some
                changed.notify()
    finally:
        with changed:
            ended = True
            changed.notify()
        found.close()


def _until(ended: Callable[[], bool]) -> Iterator[None]:
    while not ended():
        yield None


def bytes_of(values: Sequence[bytes | ReadFailure]) -> int:
    """How many bytes were read."""
    return sum(len(value) for value in values if not isinstance(value, ReadFailure))
