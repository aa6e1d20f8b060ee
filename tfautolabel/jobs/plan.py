"""Which rows make which part of a pool: a few numbers, however large the pool is."""

from __future__ import annotations

from dataclasses import dataclass

from tfautolabel.jobs.shards import Shard

MOST_PARTS = 16_384
"""Parts of a larger pool have more rows: this many files in a folder are still listed in a blink."""


@dataclass(frozen=True)
class Plan:
    """How a pool is cut into parts of consecutive rows.

    Attributes:
        rows: how many rows the pool has.
        part_rows: how many rows a part has, except for the last.
    """

    rows: int
    part_rows: int

    @classmethod
    def of(cls, rows: int, part_rows: int) -> Plan:
        """Returns the plan for a pool.

        Parts of pools with more than `MOST_PARTS` parts are two, four or more times as long. What is computed
        for a row depends on the rows around it, within windows that divide a part: it stays the same.

        Args:
            rows: how many rows the pool has.
            part_rows: how many rows a part has, if there are not too many parts.

        Examples:
            >>> Plan.of(5_000, 2048).parts, Plan.of(10**9, 2048)
            (3, Plan(rows=1000000000, part_rows=65536))
        """
        while -(-rows // part_rows) > MOST_PARTS:
            part_rows *= 2
        return cls(rows, part_rows)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.rows // self.part_rows)

    def part(self, number: int) -> range:
        """Returns the rows of a part.

        Args:
            number: in [0, parts).
        """
        start = number * self.part_rows
        return range(start, min(start + self.part_rows, self.rows))

    def numbers(self, shard: Shard | None = None) -> range:
        """Returns the numbers of all parts, or of those of a shard."""
        return range(self.parts) if shard is None else range(shard.number - 1, self.parts, shard.count)
