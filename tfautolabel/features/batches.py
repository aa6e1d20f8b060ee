"""Batches of what a backbone has to compute, made of examples that fit together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tfautolabel._ahead import map_ahead

WINDOW_BATCHES = 32
"""Batches' worth of examples that are sorted by length at a time: enough to make even batches, soon begun."""

WINDOW_BYTES = 64 * 1024 * 1024
"""Or this many bytes of them: what waits is in memory."""


class Example(NamedTuple):
    """An example on its way through the backbone.

    Attributes:
        row: in the data set.
        encoded: its bytes.
        key: what the cache knows it by.
    """

    row: int
    encoded: bytes
    key: bytes


def even_batches(
    examples: Iterable[Example],
    batch_size: int,
    max_bytes: int,
    lengths: Callable[[list[Example]], Sequence[int]] | None,
) -> Iterator[list[Example]]:
    """Groups examples in batches.

    Args:
        examples: taken as they are needed.
        batch_size: the most examples in a batch.
        max_bytes: the most encoded bytes in a batch, unless a single example has more.
        lengths: tells how long some examples are, in any unit, in another thread. Batches are then made of
            examples of similar length, taken out of a window of `WINDOW_BATCHES` batches, the longest of a
            window first. None leaves the examples in their order.

    Yields:
        Batches of one example or more.
    """
    if lengths is None:
        yield from cut(examples, batch_size, max_bytes)
        return
    measure = lengths

    def in_order(window: list[Example]) -> list[Example]:
        known = measure(window)
        return [window[place] for place in sorted(range(len(window)), key=lambda place: -known[place])]

    windows = cut(examples, batch_size * WINDOW_BATCHES, WINDOW_BYTES)
    for window in map_ahead(in_order, windows, ahead=1, size=_bytes_in, most=WINDOW_BYTES):
        yield from cut(window, batch_size, max_bytes)


def _bytes_in(examples: list[Example]) -> int:
    return sum(len(example.encoded) for example in examples)


def byte_lengths(examples: list[Example]) -> list[int]:
    """How long the encoded examples are."""
    return [len(example.encoded) for example in examples]


def cut(examples: Iterable[Example], size: int, max_bytes: int) -> Iterator[list[Example]]:
    """Groups examples in batches, in their order.

    Args:
        examples: taken as they are needed.
        size: the most examples in a batch.
        max_bytes: the most encoded bytes in a batch, unless a single example has more.

    Yields:
        Batches of one example or more.
    """
    batch: list[Example] = []
    held = 0
    for example in examples:
        if batch and (len(batch) == size or held + len(example.encoded) > max_bytes):
            yield batch
            batch, held = [], 0
        batch.append(example)
        held += len(example.encoded)
    if batch:
        yield batch
