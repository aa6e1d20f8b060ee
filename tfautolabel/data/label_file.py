"""Reads labels from a list and finds the files or rows that they belong to."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tfautolabel.data.addresses import folder_around, place_of
from tfautolabel.data.addresses import shown as shown_path
from tfautolabel.data.label_texts import SHOWN, label_text
from tfautolabel.data.label_values import is_label
from tfautolabel.data.path_names import PathFinder
from tfautolabel.data.places import Place
from tfautolabel.data.tables.column_words import PLACE_WORDS
from tfautolabel.data.tables.columns import find_label, first_known
from tfautolabel.data.tables.label_studio import FLAT_NOTE, OWN_ID, TASK_ID, drops_skipped
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.data.written_paths import looks_like_path
from tfautolabel.labels import Unreadable

NAME_COLUMNS = (
    OWN_ID, "path", "filepath", "file_path", "filename", "file_name", "file", "image", "image_path", "img",
    "img_path", "image_name", "picture", "photo", "audio", "audio_path", "clip", "sound", "wav", "text_file",
    *PLACE_WORDS, "document",
    "id", "image_id", "img_id", "id_code", "uid", "guid", "uuid", "key", "row_id", "index",
    "name",
)  # fmt: skip
"""Possible names of the name column, the surest first: paths below a folder, or ids of rows."""

TEXT_COLUMNS = ("text", "sentence", "review", "content", "message", "body", "tweet", "utterance", "question")
"""Possible names of the text in tasks of Label Studio that have no name."""

CHECKED = "given"
"""The label column of `check_labels.csv`, so that a person can correct that file and use it as labels."""


class LabelRow(NamedTuple):
    """One label as given.

    Attributes:
        place: its position, such as "line 3".
        path: the path as written.
        label: the label without surrounding space; empty for a file to be labelled.
    """

    place: str
    path: str
    label: str


class LabelList(NamedTuple):
    """Labels as given.

    Attributes:
        rows: one row for each label, in order.
        notes: sentences that say how the list was understood.
        source: the file's name, for messages.
        folder: the folder of that file, for relative paths; None for a list in memory.
        by_text: whether the paths are texts, which name the examples themselves.
    """

    rows: list[LabelRow]
    notes: tuple[str, ...] = ()
    source: str = "labels"
    folder: str | None = None
    by_text: bool = False


class Matched(NamedTuple):
    """The labels of the files or rows that exist.

    Attributes:
        labels: n labels, None where there is none.
        notes: sentences that say how the names were understood.
    """

    labels: list[str | None]
    notes: tuple[str, ...]


def read_label_file(path: str | os.PathLike[str] | Place, encoding: str | None = None) -> LabelList:
    """Reads a table with a column of names and a column of labels, in any table format that is supported.

    Formats are CSV and TSV, JSON (also a mapping from path to label, and the exports of Label Studio,
    FiftyOne and COCO), JSONL, Excel and Parquet. In exports of Label Studio the ids that
    `tfautolabel export-tasks` wrote name the examples. `NAME_COLUMNS` and `columns.LABELS` list the names
    that
    columns may have, in any case.

    Args:
        path: the file.
        encoding: the encoding of its text, or None to detect it.

    Returns:
        Its rows in order.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such table; the message names the file, the line and what is valid.
        MissingExtraError: If it is a workbook and openpyxl is not installed.
    """
    file = place_of(path)
    shown = str(file) if isinstance(path, Place) or isinstance(file, Place) else os.fspath(path)
    if not file.exists():
        raise FileNotFoundError(f"there is no labels file {shown!r}")
    try:
        table = open_table(file if isinstance(file, Place) else shown, (), encoding)
        sample = table.sample(200)
    except OSError as error:
        if isinstance(file, Place):
            raise
        raise ValueError(
            f"labels must be a file that can be read ({error.strerror}). Received: {shown!r}"
        ) from error
    columns = table.columns
    of_tasks = TASK_ID in columns or drops_skipped(columns)
    if of_tasks:  # whose numbers name no rows of ours
        columns = tuple(name for name in columns if name not in (TASK_ID, "id"))
    by_text = of_tasks and first_known(NAME_COLUMNS, columns) is None
    text_column = first_known(TEXT_COLUMNS, columns) if by_text else None
    name_column, label_column = _columns(shown, columns, sample, text_column)
    # Tasks that were added in Label Studio itself have no id of ours.
    other = first_known(NAME_COLUMNS[1:], table.columns) if name_column == OWN_ID else None
    rows = []
    for place, values, reason in table.records():
        if values is None:
            verb = (
                "has "
                if (reason or "")[:1].isdigit()
                else ""
                if (reason or "").startswith("holds")
                else "is "
            )
            raise ValueError(f"{shown}: {place} {verb}{reason}")
        name, label = label_text(values.get(name_column)), label_text(values.get(label_column))
        if not (name or "").strip() and other is not None:
            name = label_text(values.get(other))
        if not (name or "").strip():
            raise ValueError(f"{shown}: {place} has no {name_column}")
        rows.append(LabelRow(place, shown_path(name or ""), (label or "").strip()))
    if not rows:
        raise ValueError(f"{shown}: holds no rows below its header; one row a labelled file is expected")
    notes = table.notes
    if drops_skipped(table.columns):
        notes += (f"{shown}: {FLAT_NOTE}",)
    if (name_column.lower(), label_column.lower()) not in (("path", "label"), ("id", "label")):
        notes += (
            f"{shown}: names are taken from column {name_column!r}, labels from column {label_column!r}",
        )
    folder = str(folder_around(file if isinstance(file, Place) else shown))
    return LabelList(rows, notes, shown, folder, text_column is not None)


def match_labels(
    given: LabelList,
    ids: Sequence[str],
    root: str | os.PathLike[str] | None,
    unreadable: Iterable[Unreadable] = (),
    numbered: bool = True,
) -> Matched:
    r"""Finds the file or row that each label belongs to.

    A path may be the id itself. It may also have `./`, doubled slashes or back slashes; be absolute; be
    relative to the list or to the working directory; begin with the folder's own name; be a `file://`
    address; contain percent signs; or use another Unicode form for accents. It may lack its folder or its
    ending if only one file matches. A `UserWarning` tells of labels for files that do not exist, and of
    labels given twice.

    Args:
        given: labels as given.
        ids: n ids of files below `root`.
        root: the folder; None for the rows of a table, which are named by their ids.
        unreadable: what was set aside; a label for one of these gives a warning with the reason.
        numbered: whether the ids of a table's rows are row numbers, and not names that look like them.

    Raises:
        ValueError: If one file has two labels, no label belongs to an existing file, or the row numbers do
            not count from 0.

    Examples:
        >>> rows = [LabelRow("line 2", ".\\b\\1.jpg", "cat")]
        >>> match_labels(LabelList(rows), ["a.jpg", "b/1.jpg"], "photos").labels
        [None, 'cat']
    """
    of_table = root is None
    rows, source, root = given.rows, given.source, os.fspath(root or "")
    reasons = {item.id: item.reason for item in unreadable}
    if of_table and numbered:
        _check_numbers(rows, [*ids, *reasons], source)
    files = PathFinder(ids, None if of_table else root, given.folder)
    unreadable_files = PathFinder(reasons, None if of_table else root, given.folder)
    found: list[tuple[str, LabelRow]] = []
    set_aside, missing = [], []
    for row in rows:
        if (file_id := files.find(row.path)) is not None:
            found.append((file_id, row))
        elif (file_id := unreadable_files.find(row.path)) is not None:
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
    labels, repeated = _settle(found, source)
    kind, place = ("rows", "") if of_table else ("files", f" in {root!r}")
    _warn(source, missing, f"for {kind} that were not found{place}")
    _warn(source, set_aside, f"for {kind} that were set aside")
    _warn(source, repeated, "given before for the same one")
    notes = tuple(f"{source}: {note}" for note in files.notes())
    return Matched([labels.get(file_id) for file_id in ids], notes)


def rows_from_mapping(labels: Mapping[str, Any]) -> list[LabelRow]:
    """Turns labels given in Python into rows like those of a file.

    Args:
        labels: path, id or row number → label; None or an empty label where there is none.

    Raises:
        ValueError: If the mapping is empty.
        TypeError: If a path is not a str, or a value cannot be a label.
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
    """Gives each id its one label, and lists the rows that repeat a label."""
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


def _columns(
    shown: str,
    columns: Sequence[str],
    sample: Sequence[Mapping[str, bytes | None]],
    text_column: str | None,
) -> tuple[str, str]:
    """Returns the column of names, or of texts that name themselves, and the column of labels."""
    name = text_column or first_known(NAME_COLUMNS, columns)
    label = find_label([column for column in columns if column != name])
    if label is None and CHECKED in columns:
        label = CHECKED
    others = [column for column in columns if column not in (name, label)]
    if label is None and name is not None and len(others) == 1:
        label = others[0]
    if name is None and others:
        # No column has a known name; values that look like paths show the column.
        like = [
            column
            for column in others
            if sample
            and all(looks_like_path((row.get(column) or b"").decode("utf-8", "replace")) for row in sample)
        ]
        name = like[0] if like else others[0] if label is not None and len(columns) == 2 else None
        if label is None and name is not None and len(columns) == 2:
            label = next(column for column in others if column != name)
    if name is None or label is None:
        raise ValueError(
            f"{shown}: the first line must name the columns 'path' (or 'id') and 'label', once each. "
            f"Received: {', '.join(repr(column[:40]) for column in columns[:10])}"
        )
    return name, label


def _check_numbers(rows: Sequence[LabelRow], ids: Sequence[str], source: str) -> None:
    """Refuses row numbers that count from 1 or include the header: rows count from 0."""
    total = len(ids)
    numbers = sorted({int(row.path) for row in rows if row.path.strip().isdecimal()})
    if 2 * len(numbers) <= len({row.path for row in rows}) or set(map(_plain_number, ids)) != set(
        range(total)
    ):
        return
    beyond = numbers[-1] >= total
    from_one = len(numbers) > 1 and numbers[0] == 1 and numbers == list(range(1, len(numbers) + 1))
    if beyond or from_one:
        raise ValueError(
            f"{source}: the table's rows have no names and are counted from 0 to {total - 1:,}, but the "
            f"list seems "
            f"to count otherwise, from 1 for instance, which would move each label by one row. Received: "
            f"numbers "
            f"from {numbers[0]:,} to {numbers[-1]:,}; count from 0 (with an empty label for row 0 if it has "
            f"none), or "
            f"name the table's rows by a column of ids (--id-column)"
        )


def _plain_number(name: str) -> int:
    """Returns a row number that may be written without its leading zeros; -1 for a name."""
    return int(name) if name.isascii() and name.isdecimal() else -1


def _warn(source: str, examples: Sequence[str], which: str) -> None:
    if examples:
        noun = "label" if len(examples) == 1 else "labels"
        more = f" and {len(examples) - SHOWN} more" if len(examples) > SHOWN else ""
        # The frames between are match_labels and two of load_dataset; the warning names the caller.
        warnings.warn(
            f"{source}: ignored {len(examples)} {noun} {which}: {', '.join(examples[:SHOWN])}{more}",
            UserWarning,
            stacklevel=5,
        )
