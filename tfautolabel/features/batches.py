"""Batches of what a backbone has to compute, made of examples that fit together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

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
    examples: Iterable[Example], batch_size: int, max_bytes: int, by_length: bool
) -> Iterator[list[Example]]:
    """Groups examples in batches.

    Args:
        examples: taken as they are needed.
        batch_size: the most examples in a batch.
        max_bytes: the most encoded bytes in a batch, unless a single example has more.
        by_length: whether a batch is made of examples of similar length, taken out of a window of
            `WINDOW_BATCHES` batches; the longest of a window come first.

    Yields:
        Batches of one example or more, in the order of the examples unless `by_length`.
    """
    if not by_length:
        yield from _cut(examples, batch_size, max_bytes)
        return
    window: list[Example] = []
    size = 0
    for example in examples:
        window.append(example)
        size += len(example.encoded)
        if len(window) >= batch_size * WINDOW_BATCHES or size >= WINDOW_BYTES:
            yield from _cut(_longest_first(window), batch_size, max_bytes)
            window, size = [], 0
    yield from _cut(_longest_first(window), batch_size, max_bytes)


def _longest_first(window: list[Example]) -> list[Example]:
    return sorted(window, key=lambda example: len(example.encoded), reverse=True)


def _cut(examples: Iterable[Example], batch_size: int, max_bytes: int) -> Iterator[list[Example]]:
    batch: list[Example] = []
    size = 0
    for example in examples:
        if batch and (len(batch) == batch_size or size + len(example.encoded) > max_bytes):
            yield batch
            batch, size = [], 0
        batch.append(example)
        size += len(example.encoded)
    if batch:
        yield batch
