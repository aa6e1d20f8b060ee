"""Decides how many rows of a data set are read at a time: fewer if they are large."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from tfautolabel._ahead import map_ahead
from tfautolabel.data.dataset import Dataset
from tfautolabel.data.long_sounds import HELD_FILE, LongSound, wav_or_long
from tfautolabel.data.made_readable import highest_rate, made_readable
from tfautolabel.data.readers import ReadFailure, read_within

MAX_WAITING = 128 * 1024 * 1024
"""Bytes that are read or converted at a time; an hour of sound has nearly as many."""

FIRST = 1
"""The first group of sound has so many rows: the size of compressed sound is unknown until decoding."""


class RowGroups:
    """Consecutive ranges of rows; the sizes of the rows read so far decide how long the next one is.

    Args:
        count: how many rows there are.
        size: the most rows in a range.
        first: the most rows in the first range.
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

    def took(self, values: Sequence[Any]) -> None:
        """Records which values of the last range were read: its first rows, at least one.

        The next range starts behind them. Their largest size decides its length, which at most doubles.
        """
        self._read = len(values)
        largest = max((len(value) for value in values if not isinstance(value, ReadFailure)), default=0)
        fitting = MAX_WAITING // largest if largest else self._size
        self._next = max(1, min(fitting, self._size, 2 * max(len(values), 1)))


def row_groups(count: int, size: int, modality: str) -> RowGroups:
    """Returns the ranges in which a data set is read.

    Args:
        count: how many rows there are.
        size: the most rows in a range.
        modality: "image", "text" or "audio".
    """
    return RowGroups(count, size, FIRST if modality == "audio" else None)


def read_in_groups(dataset: Dataset, size: int) -> Iterator[tuple[range, list[bytes | ReadFailure]]]:
    """Reads a whole data set, one range of rows at a time.

    Args:
        dataset: n examples.
        size: the most rows in a range.

    Yields:
        The rows, and the values that `Dataset.read` gives for them.
    """
    groups = row_groups(len(dataset), size, dataset.modality)
    for rows in groups:
        values = _read(dataset, rows, None)
        groups.took(values)
        yield rows[: len(values)], values
        del values  # before the next ones are read


def _read(dataset: Dataset, rows: range, sample_rate: int | None) -> list[bytes | ReadFailure]:
    """Reads some rows as `Dataset.read` does; of sound only the first rows, as many as fit into memory."""
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
    """Reads a whole data set in its own thread, some rows ahead of the consumer.

    Args:
        dataset: n examples.
        size: the most rows at a time.
        sample_rate: as `Dataset.read` takes it.
        key: computes a key from the bytes of each row, in that thread.

    Yields:
        Some rows at a time: each row's index, its value from `Dataset.read`, and its key (empty for a
        failure).
    """

    def read(rows: range) -> list[bytes | ReadFailure]:
        return _read(dataset, rows, sample_rate)

    return _ahead(row_groups(len(dataset), size, dataset.modality), read, key)


def open_ahead(
    dataset: Dataset, size: int, sample_rate: int | None, key: Callable[[bytes], bytes]
) -> Iterator[list[tuple[int, bytes | LongSound | ReadFailure, bytes]]]:
    """Does the same for sound, but long clips are not held: a `LongSound` takes the place of their bytes.

    Args:
        dataset: n examples.
        size: the most rows at a time.
        sample_rate: as `Dataset.read` takes it.
        key: computes the key of what is held. That of a long clip is its SHA-256.
    """
    ready = partial(wav_or_long, most=highest_rate(sample_rate))

    def read(rows: range) -> list[bytes | LongSound | ReadFailure]:
        return read_within(dataset.reader, rows, ready, MAX_WAITING, HELD_FILE)

    def key_of(value: bytes | LongSound) -> bytes:
        return key(value) if isinstance(value, bytes) else value.key

    return _ahead(row_groups(len(dataset), size, dataset.modality), read, key_of)


def _ahead(
    groups: RowGroups,
    read_some: Callable[[range], list[Any]],
    key: Callable[[Any], bytes],
) -> Iterator[list[tuple[int, Any, bytes]]]:
    ranges = iter(groups)
    changed = threading.Condition()
    held, last, ended = 0, 0, False  # bytes in the queue or in use, and those of the last range

    def read(_: None) -> list[tuple[int, Any, bytes]]:
        nonlocal held, last, ended
        with changed:
            changed.wait_for(lambda: ended or held == 0 or held + last <= MAX_WAITING)
        # The start of a range is known only after the one before it was read, so it is computed here.
        rows = None if ended else next(ranges, None)
        if rows is None:
            ended = True
            return []
        values = read_some(rows)
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


def bytes_of(values: Sequence[Any]) -> int:
    """Returns how many bytes the values of some rows hold."""
    return sum(_held(value) for value in values if not isinstance(value, ReadFailure))


def _held(value: bytes | LongSound) -> int:
    return len(value) if isinstance(value, bytes) else value.held
