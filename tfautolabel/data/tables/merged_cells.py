"""Reads merged cells of a sheet as people do: what stands in the first row of a block holds for all its rows.

A workbook stores the value of a merged block in its first cell only. Blocks in or above the header are
titles and groups of columns. They are not filled.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

_BLOCK = re.compile(rb"""<(?:\w+:)?mergeCell\s[^>]*?ref=["']\$?([A-Z]+)\$?(\d+):\$?([A-Z]+)\$?(\d+)["']""")
_WORKBOOK = re.compile(r"xl/workbook\d*\.xml")
_PIECE, _LONGEST = 1 << 20, 300
"""Bytes that are searched at a time, and the most that an element for a block has."""


class Block(NamedTuple):
    """The corners of a merged block; rows and columns count from 1."""

    top: int
    left: int
    bottom: int
    right: int


def merged_blocks(archive: zipfile.ZipFile, title: str) -> list[Block]:
    """Returns the merged blocks of a sheet, ordered by their first row.

    Args:
        archive: the workbook.
        title: the sheet's name.
    """
    found = set()
    if (part := _part(archive, title)) is None:
        return []
    with archive.open(part) as stream:
        end = b""
        while piece := stream.read(_PIECE):
            found.update(_BLOCK.findall(end + piece))
            end = (end + piece)[-_LONGEST:]
    return sorted(
        Block(int(top), _number(left), int(bottom), _number(right)) for left, top, right, bottom in found
    )


def _part(archive: zipfile.ZipFile, title: str) -> str | None:
    """Returns where a sheet is in the archive: the workbook gives its relation, and a list its part."""
    parts = set(archive.namelist())
    for folder, name in (path.rsplit("/", 1) for path in parts if _WORKBOOK.fullmatch(path)):
        relations = f"{folder}/_rels/{name}.rels"
        if relations not in parts:
            continue
        sheets = ElementTree.fromstring(archive.read(f"{folder}/{name}")).iter()
        ids = {
            value
            for sheet in sheets
            if sheet.tag.endswith("}sheet") and sheet.get("name") == title
            for key, value in sheet.items()
            if key.endswith("}id")
        }
        for relation in ElementTree.fromstring(archive.read(relations)):
            target = relation.get("Target", "")
            target = target[1:] if target.startswith("/") else f"{folder}/{target}"
            if relation.get("Id") in ids and target in parts:
                return target
    return None


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


class MergedCells:
    """Fills the merged cells of a sheet while its rows are read.

    Args:
        blocks: ordered by their first row.
        header: the number of the row that names the columns, from 1; 0 if it is not known.

    Attributes:
        filled: how many cells got a value from above so far.
        shared_name: a sentence's end about a name in the header that two columns with values share; else "".
    """

    def __init__(self, blocks: Sequence[Block], header: int) -> None:
        self._below = [block for block in blocks if block.top > header and block.bottom > block.top]
        self._wide = [b for b in blocks if b.top <= header <= b.bottom and b.right > b.left]
        self._header = header
        self.filled = 0
        self.shared_name = ""

    def rows(self, rows: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
        """Yields the rows with the values that hold for them. A row that is empty itself stays so."""
        held: dict[int, tuple[int, Any]] = {}
        names: dict[Block, Any] = {}
        next_block = 0
        for number, row in enumerate(rows, 1):
            cells = list(row)
            for block in self._wide:
                if number == block.top:
                    names[block] = _cell(cells, block.left)
                if number > self._header and names.get(block) is not None:
                    self._check(block, names[block], cells)
            while next_block < len(self._below) and self._below[next_block].top <= number:
                block = self._below[next_block]
                held[block.left] = block.bottom, _cell(cells, block.left)
                next_block += 1
            if any(_is_filled(cell) for cell in cells):
                self._fill(cells, held, number)
            yield cells

    def _fill(self, cells: list[Any], held: dict[int, tuple[int, Any]], number: int) -> None:
        for column, (bottom, value) in list(held.items()):
            if number > bottom:
                del held[column]
            elif value is not None and not _is_filled(_cell(cells, column)):
                cells.extend([None] * (column - len(cells)))
                cells[column - 1] = value
                self.filled += 1

    def _check(self, block: Block, name: Any, cells: list[Any]) -> None:
        if any(_is_filled(cell) for cell in cells[block.left : block.right]):
            self.shared_name = (
                f"{str(name)[:100]!r} in row {block.top}, merged over the columns {_letters(block.left)} to "
                f"{_letters(block.right)}"
            )


def _cell(cells: Sequence[Any], column: int) -> Any:
    return cells[column - 1] if column <= len(cells) else None


def _is_filled(cell: Any) -> bool:
    return cell is not None and str(cell).strip() != ""
