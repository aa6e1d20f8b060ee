"""Recognises the format of a table by its content and opens it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tfautolabel.data.encoded_text import other_encoding
from tfautolabel.data.places import Place
from tfautolabel.data.tables.arrow import PARQUET, ParquetTable, begins_with
from tfautolabel.data.tables.contract import Table
from tfautolabel.data.tables.csv_table import CsvTable
from tfautolabel.data.tables.excel import as_csv, is_workbook
from tfautolabel.data.tables.fasttext import is_fasttext, labels_as_json_lines
from tfautolabel.data.tables.json_document import as_json_lines, is_document
from tfautolabel.data.tables.json_lines import JsonLinesTable
from tfautolabel.data.tables.text_file import TemporaryCopy, TextFile, is_binary, open_text
from tfautolabel.data.tables.tfrecord import TFRecordTable, masked_crc32c

ENDINGS = ".csv, .tsv, .json, .jsonl, .xlsx, .parquet or .tfrecord"

_OTHERS = (
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"BZh", "a bzip2 archive; unpack it first"),
    (b"\xfd7zXZ", "an xz archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive; unpack it first"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls); save it as .xlsx or as CSV UTF-8"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"ARROW1", "an Arrow or Feather file; write it as Parquet"),
    (b"ORC", "an ORC file; write it as Parquet"),
    (b"Obj\x01", "an Avro file; write it as Parquet or JSONL"),
    (b"%PDF", "a PDF file"),
)


_OTHER_TEXTS = {
    ".yaml": "a YAML file; write it as JSON or CSV",
    ".yml": "a YAML file; write it as JSON or CSV",
    ".arff": "an ARFF file; write it as CSV",
    ".html": "an HTML file; save its table as CSV",
    ".htm": "an HTML file; save its table as CSV",
    ".xml": "an XML file; write it as JSON or CSV",
    ".md": "a Markdown file; save its table as CSV",
    ".toml": "a TOML file; write it as JSON or CSV",
    ".sql": "SQL; export the table as CSV",
    ".xls": "text or HTML with the name of an old Excel file; save it as .xlsx or as CSV UTF-8",
}
"""Endings of text formats that are no tables, even with commas in them, and what each message says."""


def open_table(path: str | Place, wanted: Iterable[str] = (), encoding: str | None = None) -> Table:
    """Opens a file with one row for each example.

    Args:
        path: the file. Of one in a remote store a temporary copy is made, except of Parquet, of which only
            what is asked for is fetched.
        wanted: columns that a user asked for; they help to recognise a header.
        encoding: the encoding of its text, or None to detect it.

    Raises:
        ValueError: If it is no supported table; the message says what it is, if that is known.
        MissingExtraError: If it is a workbook and openpyxl is not installed.
        OSError: If it cannot be read.
    """
    if not isinstance(path, Place):
        return _open(TextFile(path, path), wanted, encoding)
    if begins_with(path, PARQUET):
        return ParquetTable(path)
    copy = TemporaryCopy()
    for piece in path.pieces():
        copy.write(piece)
    copy.finish()
    return _open(TextFile(copy.name, path.address, (), copy), wanted, encoding)


def _open(source: TextFile, wanted: Iterable[str], encoding: str | None) -> Table:
    path = source.name
    with open(source.path, "rb") as file:
        start = file.read(1 << 16)
    if start.startswith(PARQUET):
        return ParquetTable(source.path)
    if len(start) >= 12 and int.from_bytes(start[8:12], "little") == masked_crc32c(start[:8]):
        return TFRecordTable(source.path, source)
    if not start.strip():
        raise ValueError(f"{path}: must hold rows. Received: an empty file")
    for magic, what in _OTHERS:
        if start.startswith(magic) and (not magic.isalpha() or b"\0" in start):
            verb = "must not be compressed" if "unpack" in what else f"must be a table that ends in {ENDINGS}"
            raise ValueError(f"{path}: {verb}. Received: {what}")
    if start.startswith(b"PK\x03\x04"):
        if is_workbook(source.path):
            return CsvTable(as_csv(source.path, path), wanted, "row")
        what = (
            "an OpenDocument file; save it as .xlsx or as CSV"
            if b"opendocument" in start[:200]
            else ("a zip archive; unpack it first")
        )
        raise ValueError(f"{path}: must be a table that ends in {ENDINGS}. Received: {what}")
    if encoding is None and is_binary(start):
        raise ValueError(
            f"{path}: data is a folder, or a table that ends in {ENDINGS}. Received: binary content"
        )
    text = open_text(source.path, encoding, path)
    if text.copy is None:
        text = text._replace(copy=source.copy)
    with open(text.path, "rb") as file:
        start = file.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        raise ValueError(f"{path}: must hold rows. Received: blank lines")
    ending = os.path.splitext(path)[1].lower()
    if is_fasttext(start):
        return JsonLinesTable(labels_as_json_lines(text))
    if start.startswith(b"{") or (start.startswith(b"[") and _is_array(start, ending)):
        if is_document(text.path):
            return JsonLinesTable(as_json_lines(text), "item")
        return JsonLinesTable(text)
    if ending in _OTHER_TEXTS and (ending != ".xls" or start.startswith(b"<")):
        raise ValueError(f"{path}: must be a table that ends in {ENDINGS}. Received: {_OTHER_TEXTS[ending]}")
    if ending in (".json", ".jsonl", ".ndjson") and start.startswith((b"//", b"/*", b"#", b'"', b"'")):
        raise ValueError(
            f"{path}: is not valid JSON: it must begin with a brace or a bracket. Received: {start[:40]!r}"
        )
    known = ending in (".csv", ".tsv", ".tab", ".txt")
    if known or other_encoding(start) or b"," in start or b"\t" in start or b";" in start:
        return CsvTable(text, wanted)
    raise ValueError(f"{path}: data is a folder, or a table that ends in {ENDINGS}. Received: none of these")


def _is_array(start: bytes, ending: str) -> bool:
    """Returns whether a first bracket begins JSON: a CSV file may also begin with "[tag]"."""
    inside = start[1:].lstrip()[:1]
    if inside == b"{" or ending in (".json", ".jsonl", ".ndjson"):
        return True
    return inside in b'["' and ending not in (".csv", ".tsv")
