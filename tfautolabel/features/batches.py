"""Groups the examples that a backbone has to compute into suitable batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tfautolabel._ahead import map_ahead
from tfautolabel.data.long_sounds import LongSound

WINDOW_BATCHES = 32
"""Examples are sorted by length in groups of this many batches: enough for even batches, soon started."""

WINDOW_BYTES = 64 * 1024 * 1024
"""A group has at most this many bytes, because waiting examples are in memory."""


class Example(NamedTuple):
    """An example on its way through the backbone.

    Attributes:
        row: its row in the data set.
        encoded: its bytes; none if it is a long clip.
        key: its key in the cache.
        long: the long clip.
    """

    row: int
    encoded: bytes
    key: bytes
    long: LongSound | None = None

    @property
    def size(self) -> int:
        """Returns the bytes of the encoded example, held or not."""
        return len(self.encoded) if self.long is None else len(self.long)


def even_batches(
    examples: Iterable[Example],
    batch_size: int,
    max_bytes: int,
    lengths: Callable[[list[Example]], Sequence[int]] | None,
) -> Iterator[list[Example]]:
    """Groups examples in batches.

    Args:
        examples: read as they are needed.
        batch_size: the most examples in a batch.
        max_bytes: the most encoded bytes in a batch, unless a single example has more.
        lengths: returns the lengths of some examples, in any unit. It runs in another thread. Each batch then
            holds examples of similar length from a window of `WINDOW_BATCHES` batches. The longest examples
            of a window come first. None keeps the order of the examples.

    Yields:
        Batches of one example or more.
    """
    if lengths is None:
        yield from cut(examples, batch_size, max_bytes)
        return
    measure = lengths

    def in_order(window: list[Example]) -> list[Example]:
        if len(window) == 1:
            return window  # a large example is alone, and to measure it takes a copy
        known = measure(window)
        return [window[place] for place in sorted(range(len(window)), key=lambda place: -known[place])]

    windows = cut(examples, batch_size * WINDOW_BATCHES, WINDOW_BYTES)
    for window in map_ahead(in_order, windows, ahead=1, size=_bytes_in, guess=_bytes_in, most=WINDOW_BYTES):
        yield from cut(window, batch_size, max_bytes)
        del window  # it must not stay in memory while the next one is read


def _bytes_in(examples: list[Example]) -> int:
    return sum(example.size for example in examples)


def byte_lengths(examples: list[Example]) -> list[int]:
    """Returns the lengths of the encoded examples in bytes."""
    return [example.size for example in examples]


def cut(examples: Iterable[Example], size: int, max_bytes: int) -> Iterator[list[Example]]:
    """Groups examples in batches and keeps their order. A long clip is alone.

    Args:
        examples: read as they are needed.
        size: the most examples in a batch.
        max_bytes: the most encoded bytes in a batch, unless a single example has more.

    Yields:
        Batches of one example or more.
    """
    batch: list[Example] = []
    held = 0
    for example in examples:
        if batch and (example.long is not None or held + example.size > max_bytes):
            yield batch
            batch, held = [], 0
        batch.append(example)
        held += example.size
        # A full batch does not wait for the next example, which may be an hour of sound.
        if len(batch) == size or held > max_bytes or example.long is not None:
            yield batch
            batch, held = [], 0
        del example  # it must not stay in memory while the next one is read
    if batch:
        yield batch
