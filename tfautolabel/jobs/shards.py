"""Shares of a pool's parts, for jobs that run at the same time and know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tfautolabel.labels import Unreadable


@dataclass(frozen=True)
class Shard:
    """One of several shares of the parts: those whose number leaves `number` - 1 when divided by `count`.

    Attributes:
        number: from 1 to `count`.
        count: how many shares there are.
    """

    number: int
    count: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Reads "i/n".

        Raises:
            ValueError: If it is not written so, or i is not in [1, n].
        """
        number, slash, count = text.partition("/")
        try:
            found = cls(int(number), int(count))
        except ValueError:
            found = cls(0, 0)
        if not slash or not 1 <= found.number <= found.count:
            raise ValueError(
                f"shard must be i/n with whole numbers, i from 1 to n, such as 2/8. Received: shard={text!r}"
            )
        return found

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


class Listing(NamedTuple):
    """What is known of the data before anything is labelled.

    Attributes:
        rows: how many rows there are.
        parts: how many parts they make.
        shards: how many shares the parts were last divided into.
        unreadable: what was set aside when the data was listed.
    """

    rows: int
    parts: int
    shards: int
    unreadable: Sequence[Unreadable]
