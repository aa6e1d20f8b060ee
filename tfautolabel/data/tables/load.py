"""From a table of any kind to what a data set is made of."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from tfautolabel.data.modality import SAMPLE, recognise_modality
from tfautolabel.data.readers import Reader
from tfautolabel.data.tables.arrow import ParquetTable
from tfautolabel.data.tables.columns import choose_columns
from tfautolabel.data.tables.contract import Columns, Scan, Table
from tfautolabel.data.tables.csv_table import CsvTable
from tfautolabel.data.tables.frames import HOLDERS, as_table
from tfautolabel.data.tables.json_lines import JsonLinesTable
from tfautolabel.data.tables.paths import PathReader, are_paths
from tfautolabel.data.tables.tfrecord import TFRecordTable, masked_crc32c

ENDINGS = ".csv, .tsv, .jsonl, .parquet or .tfrecord"


class LoadedTable(NamedTuple):
    """What a table gives.

    Attributes:
        scan: its usable rows; the reader gives the inputs, also where the column holds paths.
        modality: "image", "text" or "audio".
        notes: what was guessed, in sentences.
    """

    scan: Scan
    modality: str
    notes: tuple[str, ...]


def load_table(
    source: Any,
    *,
    input_column: str | None,
    label_column: str | None,
    id_column: str | None,
    modality: str | None,
    labels_wanted: bool,
) -> LoadedTable:
    """Goes through a table once and takes down where its rows are, what they are called and their labels.

    Args:
        source: the path of a file, or a frame.
        input_column: the column of texts, encoded files or paths, or None to guess.
        label_column: the column of labels, or None to guess.
        id_column: the column of names, or None: one that is called so, or the row numbers.
        modality: None to recognise it.
        labels_wanted: whether the table's own labels are wanted.

    Raises:
        ValueError: If the table cannot be used; the text names it and what is valid.
        TypeError: If the source is neither a path nor a frame that is known.
    """
    path = os.fspath(source) if isinstance(source, (str, os.PathLike)) else None
    table = _open(path) if path is not None else _frame(source)
    sample = table.sample(SAMPLE)
    columns = choose_columns(
        table.name,
        table.columns,
        sample,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        labels_wanted=labels_wanted,
    )
    scan = table.scan(columns)
    values = [row.get(columns.input) for row in sample]
    folder = os.path.dirname(os.path.abspath(path)) if path is not None else os.getcwd()
    paths = are_paths(folder, values)
    reader: Reader = PathReader(folder, scan.reader) if paths else scan.reader
    found = modality or _recognised(reader, len(scan.ids))
    scan = scan._replace(reader=reader)
    return LoadedTable(scan, found, (_described(table, columns, scan, found, paths),))


def _open(path: str) -> Table:
    with open(path, "rb") as file:
        start = file.read(1 << 16)
    if start.startswith(b"PAR1"):
        return ParquetTable(path)
    if len(start) >= 12 and int.from_bytes(start[8:12], "little") == masked_crc32c(start[:8]):
        return TFRecordTable(path)
    ending = os.path.splitext(path)[1].lower()
    if not start.strip():
        raise ValueError(f"{path}: must hold rows. Received: an empty file")
    if start.startswith(b"\x1f\x8b"):
        raise ValueError(f"{path}: must not be compressed. Received: a gzip archive; unpack it first")
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return JsonLinesTable(path)
    if ending in (".csv", ".tsv", ".tab", ".txt") or (b"," in start or b"\t" in start):
        if b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError(
                f"{path}: data is a folder, or a table that ends in {ENDINGS}. Received: binary content"
            )
        return CsvTable(path)
    raise ValueError(f"{path}: data is a folder, or a table that ends in {ENDINGS}. Received: none of these")


def _frame(source: Any) -> Table:
    table = as_table(source)
    if table is None:
        raise TypeError(f"data must be a path, {HOLDERS}. Received: {type(source).__name__}")
    return table


def _recognised(reader: Reader, count: int) -> str:
    samples = []
    for row in range(min(count, SAMPLE)):
        try:
            samples.append(reader.read(row))
        except ValueError:
            continue
    return recognise_modality(samples) or "text"


def _described(table: Table, columns: Columns, scan: Scan, modality: str, paths: bool) -> str:
    what = {"image": "pictures", "text": "texts", "audio": "sound clips"}[modality]
    where = f"in the files that column {columns.input!r} names" if paths else f"in column {columns.input!r}"
    labels = f"labels in column {columns.label!r}" if columns.label else "no labels"
    names = f"names in column {columns.id!r}" if columns.id else "row numbers (from 0) for names"
    return f"{table.name}: {len(scan.ids):,} {what} {where}, {labels}, {names}"
