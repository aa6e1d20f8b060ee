"""Reads the labels that people give in a CSV file, and finds the files that they mean."""

from __future__ import annotations

import csv
import io
import os
import posixpath
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tfautolabel.data.label_values import is_label, label_text
from tfautolabel.labels import Rejected

NAME_COLUMNS = ("path", "id")
"""What the column of names may be called: paths below a folder, or the ids of a table's rows."""

DELIMITERS = (",", ";", "\t")
"""Excel writes semicolons where the comma is the decimal sign, and tabs as "text"."""

SHOWN = 3
"""How many examples a warning names."""


class LabelRow(NamedTuple):
    """One label as given.

    Attributes:
        place: where it stands, "line 3" for instance.
        path: as written.
        label: without surrounding space; empty if the file is one to label.
    """

    place: str
    path: str
    label: str


def read_label_file(path: str | os.PathLike[str]) -> list[LabelRow]:
    """Reads a CSV file with the columns `path` and `label`.

    The file is UTF-8 with or without a byte order mark; commas, semicolons or tabs separate its columns; the
    header's names may be written in any case.

    Args:
        path: the file.

    Returns:
        Its rows in order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read as such a table; the text names the file, the line and what is valid.
    """
    shown = os.fspath(path)
    text = _decode(_read_bytes(path), shown)
    delimiter, columns = _read_header(text, shown)
    rows = []
    # Strict, because otherwise a quote that is never closed takes the rest of the file into one label.
    for line, fields in islice(_records(text, delimiter, shown, strict=True), 1, None):
        if len(fields) != columns.width:
            raise ValueError(
                f"{shown}: line {line} has {len(fields)} fields where the header has {columns.width} columns"
            )
        file, label = fields[columns.path], fields[columns.label].strip()
        if not file.strip():
            raise ValueError(f"{shown}: line {line} has no path")
        rows.append(LabelRow(f"line {line}", file, label))
    if not rows:
        raise ValueError(f"{shown}: holds no rows below its header; one row a labelled file is expected")
    return rows


def match_labels(
    rows: Sequence[LabelRow],
    ids: Sequence[str],
    root: str | os.PathLike[str] | None,
    rejected: Iterable[Rejected] = (),
    source: str | os.PathLike[str] = "labels",
) -> list[str | None]:
    r"""Finds the file that each row means.

    A path may be written as the id; with `./`, doubled or back slashes; in full; with the folder's own name
    in front; and with accents composed otherwise than the file system has them. Labels for files that are
    not there, and a label given twice, give a `UserWarning`.

    Args:
        rows: labels as given.
        ids: n ids of files below `root`.
        root: the folder; None for the rows of a table, which are meant by their ids.
        rejected: what was set aside there; a label for one of these gives a warning with its reason.
        source: the file's name, for messages.

    Returns:
        n labels, None where a file has none.

    Raises:
        ValueError: If one file has two labels, or no row means a file that is there.

    Examples:
        >>> match_labels([LabelRow("line 2", ".\\b\\1.jpg", "cat")], ["a.jpg", "b/1.jpg"], "photos")
        [None, 'cat']
    """
    of_table = root is None
    source, root = os.fspath(source), os.fspath(root or "")
    reasons = {item.id: item.reason for item in rejected}
    files, rejected_files = _PathFinder(ids, root), _PathFinder(reasons, root)
    found: list[tuple[str, LabelRow]] = []
    set_aside, missing = [], []
    for row in rows:
        if (file_id := files.find(row.path)) is not None:
            found.append((file_id, row))
        elif (file_id := rejected_files.find(row.path)) is not None:
            set_aside.append(f"{row.path!r} ({row.place}: {reasons[file_id]})")
        else:
            missing.append(f"{row.path!r} ({row.place})")
    if rows and not found:
        wanted = "a row's id" if of_table else f"a file that was found in {root!r}"
        relative = "" if of_table else "; paths are relative to that folder"
        raise ValueError(
            f"{source}: none of its {len(rows)} paths is {wanted}{relative}. "
            f"Received: {(set_aside + missing)[0]}"
        )
    given, repeated = _settle(found, source)
    kind, place = ("rows", "") if of_table else ("files", f" in {root!r}")
    _warn(source, missing, f"for {kind} that were not found{place}")
    _warn(source, set_aside, f"for {kind} that were set aside")
    _warn(source, repeated, "given before for the same one")
    return [given.get(file_id) for file_id in ids]


def rows_from_mapping(labels: Mapping[str, Any]) -> list[LabelRow]:
    """Labels given in Python as rows like those of a file.

    Args:
        labels: path, id or row number → label; None or an empty label where there is none.

    Raises:
        ValueError: If the mapping is empty.
        TypeError: If a path is not a str, or a label no label.
    """
    if not labels:
        raise ValueError("labels must name at least one file, or be None. Received: labels={}")
    rows = []
    for number, (path, label) in enumerate(labels.items(), start=1):
        if not isinstance(path, (str, int)) or not is_label(label):
            raise TypeError(
                f"labels must map a str to a str, a number or None. Received: {path!r}: {label!r}"
            )
        rows.append(LabelRow(f"entry {number}", str(path), (label_text(label) or "").strip()))
    return rows


def _settle(found: Iterable[tuple[str, LabelRow]], source: str) -> tuple[dict[str, str], list[str]]:
    """Gives each id its one label, and lists the rows that repeat it."""
    first: dict[str, LabelRow] = {}
    repeated = []
    for file_id, row in found:
        if not row.label:
            continue
        earlier = first.setdefault(file_id, row)
        if row.label != earlier.label:
            raise ValueError(
                f"{source}: one file has two labels. Received: {file_id!r} is {earlier.label!r} in "
                f"{earlier.place} and {row.label!r} in {row.place}"
            )
        if row is not earlier:
            repeated.append(f"{row.path!r} ({row.place})")
    return {file_id: row.label for file_id, row in first.items()}, repeated


class _PathFinder:
    """Finds ids by the ways in which people write them."""

    def __init__(self, ids: Iterable[str], root: str | os.PathLike[str]):
        self.ids = set(ids)
        # macOS stores "é" as two characters, most editors write one.
        self.composed = {unicodedata.normalize("NFC", file_id): file_id for file_id in self.ids}
        roots = {os.path.abspath(root), os.path.realpath(root)}
        self.prefixes = [Path(path).as_posix().rstrip("/") + "/" for path in sorted(roots)]
        self.prefixes += [Path(path).name + "/" for path in sorted(roots)]

    def find(self, path: str) -> str | None:
        for written in self.spellings(path):
            if written in self.ids:
                return written
            composed = self.composed.get(unicodedata.normalize("NFC", written))
            if composed is not None:
                return composed
        return None

    def spellings(self, path: str) -> Iterator[str]:
        yield path
        plain = posixpath.normpath(path.strip().replace("\\", "/"))
        yield plain
        for prefix in self.prefixes:
            if plain.startswith(prefix):
                yield plain[len(prefix) :]


class _Columns(NamedTuple):
    path: int
    label: int
    width: int


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no labels file {os.fspath(path)!r}") from error
    except OSError as error:
        raise ValueError(
            f"labels must be a CSV file that can be read ({error.strerror}). Received: {os.fspath(path)!r}"
        ) from error


def _decode(data: bytes, shown: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # `error.object` is what the decoder saw: without the byte order mark if there was one.
        before = error.object[: error.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        line = before.count(b"\n") + 1
        raise ValueError(
            f"{shown}: line {line} is not UTF-8 (byte 0x{error.object[error.start]:02x}); "
            f"save the file as UTF-8 (in Excel: CSV UTF-8)"
        ) from error


def _records(text: str, delimiter: str, shown: str, strict: bool) -> Iterator[tuple[int, list[str]]]:
    """Yields (first line, fields) of each record, without empty lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{shown}: line {line} is not valid CSV ({error})") from error


def _read_header(text: str, shown: str) -> tuple[str, _Columns]:
    found: list[str] = []
    for delimiter in DELIMITERS:
        _, header = next(_records(text, delimiter, shown, strict=False), (1, []))
        names = [name.strip().lower() for name in header]
        for given in NAME_COLUMNS:
            if names.count(given) == names.count("label") == 1:
                return delimiter, _Columns(names.index(given), names.index("label"), len(names))
        found = max(found, header, key=len)
    raise ValueError(
        f"{shown}: the first line must name the columns 'path' (or 'id') and 'label', once each. "
        f"Received: {', '.join(repr(name[:40]) for name in found[:10]) or 'an empty file'}"
    )


def _warn(source: str, examples: Sequence[str], which: str) -> None:
    if examples:
        noun = "label" if len(examples) == 1 else "labels"
        more = f" and {len(examples) - SHOWN} more" if len(examples) > SHOWN else ""
        # The frames between are match_labels and two of load_dataset, whose caller is meant.
        warnings.warn(
            f"{source}: ignored {len(examples)} {noun} {which}: {', '.join(examples[:SHOWN])}{more}",
            UserWarning,
            stacklevel=5,
        )
