"""Finds out how a file of delimited records is written: delimiter, quotes and header."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tfautolabel.data.tables.columns import INPUTS, LABELS, NAMES, plain_name
from tfautolabel.data.tables.padded_quotes import without_padding
from tfautolabel.data.written_paths import looks_like_path

DELIMITERS = (",", "\t", ";", "|")
ONE_COLUMN = "\x1f"
"""The delimiter for files of one column: no text holds it, so commas belong to the texts."""

LOOKED_AT = 50
"""How many records are checked."""

_TITLE_LINES = 20
"""In how many first lines a header is searched."""

UNNAMED = "column "
"""The name of a column without a name, followed by its number, from 1."""

_KNOWN = frozenset((*INPUTS, *LABELS, *NAMES, "comment", "title", "description", "url"))
_SEP = re.compile(rb"(?:\xef\xbb\xbf)?\"?sep\s?=\s?(\\t|.)\"?[,;\t|]*\r?\n", re.IGNORECASE)
_SENTENCE = re.compile(r"\S+\s+\S+\s+.*[.!?…]['\")]?$", re.DOTALL)


class Marks(NamedTuple):
    """The characters that separate and join fields.

    Attributes:
        delimiter: the character between fields.
        quoted: whether quotes enclose fields.
        quote: the quote character.
        spaced: whether a space after the delimiter is ignored.
        padded: whether blanks between a closing quote and the delimiter are ignored.
    """

    delimiter: str
    quoted: bool = True
    quote: str = '"'
    spaced: bool = False
    padded: bool = False


class Dialect(NamedTuple):
    """The format of a file.

    Attributes:
        marks: the delimiter and the quotes.
        begin: the position of the first record, in bytes.
        lines_before: the number of lines before it.
        names: the names of the columns; "" for a column with neither a name nor values.
        has_header: whether the first record holds the column names.
        sure: whether the contents show this; otherwise it is only the usual case.
        above: the text of the lines above the header, which are skipped.
        names_mark: whether the first line states the delimiter.
    """

    marks: Marks
    begin: int
    lines_before: int
    names: tuple[str, ...]
    has_header: bool
    sure: bool
    above: tuple[str, ...] = ()
    names_mark: bool = False


def find_dialect(path: str, wanted: Iterable[str] = ()) -> Dialect:
    """Reads the beginning of a file, and all of it if tabs and quotes are ambiguous.

    Args:
        path: a UTF-8 file.
        wanted: columns that a user asked for; a first line that names one of them is a header.
    """
    with open(path, "rb") as file:
        start = file.read(1 << 17)
        whole = len(start) < 1 << 17
    begin = 3 if start.startswith(b"\xef\xbb\xbf") else 0
    sep = _SEP.match(start)
    lines_before = 0
    delimiter = None
    if sep:
        begin, lines_before = sep.end(), 1
        mark = start[sep.start(1) : sep.end(1)].decode("latin-1").replace("\\t", "\t")
        delimiter = mark if mark in DELIMITERS else None
    text = start[begin:].decode("utf-8", "surrogateescape")
    if not whole and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    wanted = frozenset(wanted)
    above = _above_header(text, wanted)
    if above:
        begin += len("".join(above).encode("utf-8", "surrogateescape"))
        lines_before += len(above)
        text = text[len("".join(above)) :]
    delimiter = delimiter or _delimiter(text, wanted)
    marks = Marks(delimiter, delimiter != "\t" or _quotes_hold(path, begin))
    marks = _best_marks(text, marks) if marks.quoted and delimiter != ONE_COLUMN else marks
    rows = _rows(text, marks)
    first = [cell.strip() for cell in rows[0]] if rows else []
    judged = True if not first else _is_header(first, rows[1:], wanted)
    has_header = judged is not False
    names = _names(first, rows[1:]) if has_header else _numbered(rows)
    said = tuple(line.strip() for line in above if line.strip(" ,;\t|\r\n"))
    return Dialect(marks, begin, lines_before, names, has_header, judged is not None, said, bool(sep))


def csv_reader(lines: Iterable[str], marks: Marks, strict: bool = True) -> Any:
    """Returns Python's CSV reader for these marks."""
    quoting = csv.QUOTE_MINIMAL if marks.quoted else csv.QUOTE_NONE
    return csv.reader(
        without_padding(lines, marks.delimiter, marks.quote, marks.spaced) if marks.padded else lines,
        delimiter=marks.delimiter,
        quotechar=marks.quote,
        quoting=quoting,  # type: ignore[arg-type]
        skipinitialspace=marks.spaced,
        strict=strict,
    )


def _above_header(text: str, wanted: frozenset[str]) -> list[str]:
    """Returns the lines above the header: titles, remarks and similar text.

    The header must name an input column and a label or id column, or two columns that a user asked for. Each
    line above must have fewer fields.
    """
    lines = [f"{line}\n" for line in text.split("\n", _TITLE_LINES)[:_TITLE_LINES]]
    for number, line in enumerate(lines):
        for mark in DELIMITERS:
            cells = _cells(line, mark)
            plain = {plain_name(cell) for cell in cells if cell}
            names = bool(plain & set(INPUTS)) and bool(plain & {*LABELS, *NAMES})
            if len(cells) > 1 and (names or len(wanted & set(cells)) > 1):
                above = lines[:number]
                less = all(sum(map(bool, _cells(row, mark))) < len(plain) for row in above)
                return above if less else []
    return []


def _cells(line: str, mark: str) -> list[str]:
    rows = _rows(line, Marks(mark))
    return [cell.strip() for cell in rows[0]] if rows else []


def _best_marks(text: str, marks: Marks) -> Marks:
    """Tries blanks around quotes, and single quotes, and keeps what leaves fewer broken records."""
    padded = re.compile(r'[ \t]+".*"[ \t]*', re.DOTALL)

    def broken(some: Marks) -> int:
        rows = _rows(text, some)
        # Double quotes are never part of a field, whatever else is quoted.
        if some.quote != '"' and any(cell.startswith('"') for row in rows for cell in row):
            return least
        uneven = sum(len(_trimmed(row, len(rows[0]))) != len(rows[0]) for row in rows[1:])
        return uneven + sum(any(map(padded.fullmatch, row)) for row in rows) + _errors(text, some)

    least = broken(marks)
    others = (
        marks._replace(spaced=True),
        marks._replace(padded=True),
        marks._replace(spaced=True, padded=True),
        marks._replace(quote="'"),
    )
    for other in others if least else ():
        if (count := broken(other)) < least:
            marks, least = other, count
    return marks


def _errors(text: str, marks: Marks) -> int:
    """Counts the first records that break the rules of quotes."""
    reader = csv_reader(io.StringIO(text, newline=""), marks)
    errors = 0
    for _ in range(LOOKED_AT):
        try:
            if next(reader, None) is None:
                break
        except csv.Error:
            errors += 1
    return errors


def _delimiter(text: str, wanted: frozenset[str]) -> str:
    best: tuple[tuple[float, ...], str] | None = None
    for mark in DELIMITERS:
        rows = _rows(text, Marks(mark))
        if not rows or len(rows[0]) < 2:
            continue
        names = sum(plain_name(cell) in _KNOWN or cell.strip() in wanted for cell in rows[0])
        same = sum(len(_trimmed(row, len(rows[0]))) == len(rows[0]) for row in rows) / len(rows)
        if not names and mark == "," and _is_prose(rows):
            continue
        score = (min(names, 2), round(same, 1), len(rows[0]))
        if best is None or score > best[0]:
            best = score, mark
    if best is not None and (best[0][0] or best[0][1] >= 0.5 or len(text.splitlines()) < 4):
        return best[1]
    return " " if best is None and _lists_paths(text) else ONE_COLUMN


def _is_prose(rows: Sequence[Sequence[str]]) -> bool:
    """Returns whether the commas belong to sentences: a space after each, and a full stop at the end."""
    like = sum(
        len(row) < 2 or (all(cell[:1] == " " for cell in row[1:]) and row[-1].strip()[-1:] in set(".!?…"))
        for row in rows
    )
    return like > 0.8 * len(rows)


def _lists_paths(text: str) -> bool:
    """Returns whether each line is a file name, a space and a word for its class."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:LOOKED_AT]
    like = sum(line.count(" ") == 1 and looks_like_path(line.split(" ")[0]) for line in lines)
    return like > 0.9 * len(lines)


def _rows(text: str, marks: Marks) -> list[list[str]]:
    """Returns the first records, up to a damaged one."""
    rows: list[list[str]] = []
    try:
        for row in csv_reader(io.StringIO(text, newline=""), marks, strict=False):
            if any(cell.strip() for cell in row):
                rows.append(row)
            if len(rows) == LOOKED_AT:
                break
    except csv.Error:
        pass
    return rows


def _quotes_hold(path: str, begin: int) -> bool:
    """Returns whether quotes enclose fields in a file with tabs; in most such files they do not.

    The reading with fewer broken records is right. If neither has any, quotes enclose fields, unless a field
    then runs over several lines, which a stray quote causes.
    """
    with open(path, "rb") as file:
        file.seek(begin)
        if not any(re.search(rb'(?:^|\t)"', line) for line in file):
            return True
    with_quotes, lines = _broken(path, begin, Marks("\t"))
    if with_quotes:
        with_quotes, lines = min(
            (with_quotes, lines), _broken(path, begin, Marks("\t", spaced=True, padded=True))
        )
    without, _ = _broken(path, begin, Marks("\t", quoted=False))
    return with_quotes < without if with_quotes != without else with_quotes > 0 or not lines


def _broken(path: str, begin: int, marks: Marks) -> tuple[int, bool]:
    """Counts records with another number of fields than the first; also tells if one runs over lines."""
    broken = width = 0
    over_lines = False
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        file.seek(begin)
        reader = csv_reader(file, marks)
        while True:
            line = reader.line_num
            try:
                row = next(reader, None)
            except csv.Error:
                broken += 1
                continue
            if row is None:
                return broken, over_lines
            width = width or len(row)
            broken += bool(row) and len(_trimmed(row, width)) != width
            over_lines = over_lines or reader.line_num > line + 1


def _trimmed(row: Sequence[str], width: int) -> Sequence[str]:
    """Returns a record without empty fields beyond the header's."""
    return row[:width] if not any(cell.strip() for cell in row[width:]) else row


def _is_header(first: Sequence[str], rows: Sequence[Sequence[str]], wanted: frozenset[str]) -> bool | None:
    """Returns whether the first record is a header, by its words and the rows below; None if unsure."""
    if wanted & set(first):
        return True
    if any(re.fullmatch(rf"{UNNAMED}\d+", name) for name in wanted):
        return False
    if len(first) > 1 and all(plain_name(cell) in _KNOWN for cell in first):
        return True  # even if it repeats below, as in concatenated files
    below = [[row[place].strip() for row in rows if place < len(row) and row[place].strip()] for place in
             range(len(first))]  # fmt: skip
    if any(plain_name(cell) in _KNOWN and cell not in below[place] for place, cell in enumerate(first)):
        return True
    if len(set(first)) < len(first) and any(first.count(cell) > 1 for cell in first if cell):
        return True  # an error about the columns will follow: a name occurs twice
    like_data = unlike = 0
    for cell, values in zip(first, below, strict=True):
        if not cell or not values:
            like_data += bool(_SENTENCE.match(cell))
            continue
        for kind in (_is_number, looks_like_path):
            share = sum(map(kind, values)) / len(values)
            if share > 0.8:
                like_data += kind(cell)
                unlike += not kind(cell)
        like_data += cell in values and len(set(values)) * 2 <= len(values) + 2
        words = sum(len(value.split()) for value in values) / len(values)
        like_data += bool(_SENTENCE.match(cell)) or 3 <= len(cell.split()) > words / 4
    if unlike or like_data:
        return unlike > 0
    return None


def _is_number(value: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?%?", value.strip()) is not None


def _names(first: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Returns a header's names; a column with values but without a name gets its number."""
    names = []
    for place, name in enumerate(first):
        if not name:
            filled = sum(place < len(row) and bool(row[place].strip()) for row in rows)
            name = f"{UNNAMED}{place + 1}" if filled * 2 > len(rows) else ""
        names.append(name)
    while len(names) > 1 and not names[-1]:
        names.pop()
    return tuple(names)


def _numbered(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    return tuple(f"{UNNAMED}{number}" for number in range(1, width + 1))
