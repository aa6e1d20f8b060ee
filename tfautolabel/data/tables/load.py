"""Loads a table of any kind, for a data set."""

from __future__ import annotations

import os
from functools import partial
from typing import NamedTuple

import numpy as np

from tfautolabel.data.addresses import folder_around, shown
from tfautolabel.data.label_values import Rules
from tfautolabel.data.located_files import NamedFiles
from tfautolabel.data.modality import PLURALS, SAMPLE, recognise_modality, telling_part
from tfautolabel.data.names import as_names
from tfautolabel.data.path_search import LOOKED_AT, find_place
from tfautolabel.data.picture_files import note_of_range
from tfautolabel.data.places import Place
from tfautolabel.data.readers import Reader, ReadFailure, read_rows
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.tables.columns import (
    FILE_WORDS,
    NO_NAMES,
    Sample,
    choose_columns,
    unused_names,
    words_of,
)
from tfautolabel.data.tables.contract import Columns, NoNamesError, Scan, Table
from tfautolabel.data.tables.frames import HOLDERS, as_table
from tfautolabel.data.tables.label_studio import FLAT_NOTE, drops_skipped
from tfautolabel.data.tables.named_files import choose_with_files, place_of_names
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.data.tables.paths import Base64Reader, PathReader, check_one_label_a_file
from tfautolabel.data.written_paths import MAX_PATH, is_base64


class LoadedTable(NamedTuple):
    """The contents of a table.

    Attributes:
        scan: its usable rows; the reader gives the inputs, even if the column holds paths.
        modality: "image", "text" or "audio".
        notes: sentences that say what was guessed.
        warnings: sentences about likely mistakes in the data.
        numbered: whether the rows are named by their numbers.
        id_column: the column that names them, or None.
    """

    scan: Scan
    modality: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    numbered: bool
    id_column: str | None


def load_table(
    source: object,
    *,
    input_column: str | None,
    label_column: str | None,
    id_column: str | None,
    modality: str | None,
    labels_wanted: bool,
    rules: Rules,
    encoding: str | None,
    expected: str | None = None,
) -> LoadedTable:
    """Passes over a table once and records the positions, names and labels of its rows.

    Args:
        source: the path or place of a file, or a frame.
        input_column: the column of texts, encoded files or paths, or None to guess.
        label_column: the column of labels, or None to guess.
        id_column: the column of names; None for one with a usual name, else the row numbers.
        modality: None to recognise it.
        labels_wanted: whether the labels of the table itself are wanted.
        rules: how to read the labels.
        encoding: the encoding of a text file, or None to detect it.
        expected: the modality to assume if the contents do not show it.

    Raises:
        ValueError: If the table cannot be used; the message names it and what is valid.
        TypeError: If the source is neither a path nor a known frame.
    """
    path = None
    if isinstance(source, (str, os.PathLike, Place)):
        path = source if isinstance(source, Place) else os.fspath(source)
    wanted = [name for name in (input_column, label_column, id_column) if name is not None]
    table = open_table(path, wanted, encoding) if path is not None else _frame(source)
    sample = _sample(table)
    choose = partial(
        choose_columns,
        table.name,
        table.columns,
        sample,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        labels_wanted=labels_wanted,
        rules=rules,
        unnamed=table.unnamed,
        id_hint=table.id_hint,
    )
    if path is not None and input_column is None and id_column is None and label_column is None:
        folder = folder_around(path)
        columns = choose_with_files(table, sample, folder, choose, labels_wanted)
    else:
        columns = choose()
    try:
        loaded = _loaded(table, columns, sample, path, modality, expected)
        why = None if id_column == NO_NAMES else unused_names(columns, table.columns, sample)
        return loaded if why is None else loaded._replace(notes=(*loaded.notes, _numbered(table, why)))
    except ValueError as error:
        if input_column is not None and (label_column is not None or not labels_wanted):
            raise
        raise ValueError(f"{error}; {_taken(columns)}") from error


def _loaded(
    table: Table,
    columns: Columns,
    sample: Sample,
    path: str | Place | None,
    modality: str | None,
    expected: str | None,
) -> LoadedTable:
    notes: tuple[str, ...] = ()
    try:
        scan = table.scan(columns)
    except NoNamesError as error:
        columns = columns._replace(id=None, id_guessed=False)
        scan = table.scan(columns)
        notes = (_numbered(table, str(error)),)
    folder = folder_around(path) if path is not None else None
    if path is None:
        _check_readable(table, columns, scan)
    place = _place(table, columns, sample, scan, folder, modality)
    if place is not None:
        notes += check_one_label_a_file(table.name, scan.reader, scan.class_ids, scan.classes, place)
        scan = scan._replace(reader=PathReader(place, scan.reader))
    elif _are_base64(sample, columns.input):
        scan = scan._replace(reader=Base64Reader(scan.reader))
        notes += (f"{table.name}: column {columns.input!r} holds base64, which is decoded",)
    scan = without_queries(scan)
    samples = _some(scan.reader, place is not None)
    found = modality or recognise_modality(samples) or expected or ("image" if place is not None else "text")
    if found == "image" and (note := note_of_range(samples)):
        notes += (f"{table.name}: {note}",)
    described = _described(table, columns, scan, found, place)
    flat = (f"{table.name}: {FLAT_NOTE}",) if drops_skipped(table.columns) else ()
    notes = (described, *table.notes, *flat, *notes, *scan.notes)
    return LoadedTable(scan, found, notes, scan.warnings, columns.id is None, columns.id)


def without_queries(scan: Scan) -> Scan:
    """Returns a scan without the queries of stores' addresses in its names, which may be signatures."""
    scan = scan._replace(unreadable=[item._replace(id=shown(item.id)) for item in scan.unreadable])
    if isinstance(scan.ids, RowNames) or not (np.strings.find(scan.ids, "://") > 0).any():
        return scan
    return scan._replace(ids=as_names([shown(name) for name in scan.ids.tolist()]))


def _numbered(table: Table, why: str) -> str:
    return f"{table.name}: {why}, so the rows have their numbers, from 0, for names"


def _sample(table: Table) -> Sample:
    """Returns the first rows; more of them if they are small."""
    sample = table.sample(SAMPLE)
    size = sum(len(value or b"") for row in sample for value in row.values())
    return sample if len(sample) < SAMPLE or size > 1 << 20 else table.sample(LOOKED_AT)


def _check_readable(table: Table, columns: Columns, scan: Scan) -> None:
    """Refuses a frame column in which nothing is an input, such as decoded pictures.

    Raises:
        ValueError: If none of some rows can be read.
    """
    rows = np.unique(np.linspace(0, len(scan.ids) - 1, SAMPLE, dtype=int)).tolist()
    if all(isinstance(value, ReadFailure) for value in read_rows(scan.reader, rows)):
        raise ValueError(
            f"{table.name}: column {columns.input!r} must hold texts, encoded files as bytes, or paths. "
            f"Received: "
            f"none of these in the rows that were looked at"
        )


def _place(
    table: Table,
    columns: Columns,
    sample: Sample,
    scan: Scan,
    folder: str | Place | None,
    modality: str | None,
) -> NamedFiles | None:
    """Finds the files that the input column names; None if it holds the inputs themselves."""
    named = bool(FILE_WORDS & set(words_of(columns.input))) and not columns.input.lower().endswith("encoded")
    values = [row.get(columns.input) for row in sample]
    if _are_base64(sample, columns.input):
        return None
    if not any(_readable(value) for value in values):
        return None
    # The first rows alone do not show enough: their files may have been deleted.
    spread = np.unique(np.linspace(0, len(scan.ids) - 1, LOOKED_AT, dtype=int)).tolist()
    values = [value for value in read_rows(scan.reader, spread) if isinstance(value, bytes)]
    texts = [value.decode("utf-8", "replace") for value in values if value]
    what = f"{table.name}: column {columns.input!r}"
    place = find_place(texts, what, folder, named=named, refuse=modality != "text")
    return place or place_of_names(texts, table.name, columns.input, folder)


def _are_base64(sample: Sample, column: str) -> bool:
    """Returns whether most of some values are files in base64."""
    values = [value[:200].decode("utf-8", "replace") for row in sample if (value := row.get(column))]
    return sum(map(is_base64, values)) * 2 > len(values)


def _readable(value: bytes | None) -> bool:
    """Returns whether a value may be a path, and not a file's content or a long text."""
    return value is not None and len(value) <= MAX_PATH and b"\0" not in value and b"\n" not in value.strip()


def _frame(source: object) -> Table:
    table = as_table(source)
    if table is None:
        raise TypeError(f"data must be a path, {HOLDERS}. Received: {type(source).__name__}")
    return table


def _some(reader: Reader, paths: bool) -> list[bytes]:
    """Reads some rows, from all over the table if that costs little."""
    count = len(reader)
    rows = (
        np.unique(np.linspace(0, count - 1, 2 * SAMPLE, dtype=int))
        if paths
        else np.arange(min(count, SAMPLE))
    )
    return [value for value in read_rows(reader, rows.tolist(), telling_part) if isinstance(value, bytes)]


def _taken(columns: Columns) -> str:
    """Says what was understood, for the end of an error message: the guess may be wrong."""
    taken = [f"inputs from column {columns.input!r}"]
    if columns.label is not None:
        taken.append(f"labels from column {columns.label!r}")
    if columns.id is not None:
        taken.append(f"names from column {columns.id!r}")
    return f"taken were {', '.join(taken)}"


def _described(table: Table, columns: Columns, scan: Scan, modality: str, place: NamedFiles | None) -> str:
    what = PLURALS[modality]
    where = f"in column {columns.input!r}"
    if place is not None:
        where = f"in the files that column {columns.input!r} names, {place.words}"
    labels = f"labels in column {columns.label!r}" if columns.label else "no labels"
    names = f"names in column {columns.id!r}" if columns.id else "row numbers (from 0) for names"
    unread = [name for name in table.columns if name not in columns[:3]]
    more = f" and {len(unread) - 8} more" if len(unread) > 8 else ""
    rest = f"; not read: {', '.join(map(repr, unread[:8]))}{more}" if unread else ""
    return f"{table.name}: {len(scan.ids):,} {what} {where}, {labels}, {names}{rest}"
