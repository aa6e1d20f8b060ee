"""Reads the index of a pandas frame from what pandas writes beside an Arrow table or a Parquet file.

Indexes of whole numbers at equal distances are not stored as a column; their first number and step are in the
metadata. The format: https://pandas.pydata.org/docs/development/developer.html.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import NamedTuple


class WrittenIndex(NamedTuple):
    """The index that was written.

    Attributes:
        name: its column's name, which no other column has.
        numbers: the number of each row, if no column holds the index; else None.
    """

    name: str
    numbers: range | None


def written_index(
    metadata: Mapping[bytes, bytes] | None, columns: Collection[str], rows: int
) -> WrittenIndex | None:
    """Returns the one index of a frame; None if there is none, or if it only counts rows from 0.

    Args:
        metadata: of the Arrow schema.
        columns: the names of the table's columns.
        rows: the number of the table's rows. Numbers for another number of rows are out of date.
    """
    try:
        index = json.loads((metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        (first,) = index
        if isinstance(first, str):
            return WrittenIndex(first, None) if first in columns else None
        numbers = range(first["start"], first["stop"], first["step"])
        name = str(first.get("name") or "index")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if len(numbers) != rows or numbers == range(rows):
        return None
    while name in columns:
        name += " of the frame"
    return WrittenIndex(name, numbers)
