"""Writes the same rows as every kind of table that is read."""

import base64
import csv
import json
from pathlib import Path

FILE_KINDS = (
    "csv", "tsv", "jsonl", "parquet", "tfrecord", "array.json", "columns.json", "xlsx", "utf-16.csv",
    "semicolon.csv",
)  # fmt: skip
KINDS = (*FILE_KINDS, "pandas", "polars", "arrow", "tf.data")
NO_BYTES = ("csv", "tsv", "xlsx", "utf-16.csv", "semicolon.csv", "tf.data")
"""Kinds that hold text only."""


def write_table(kind, rows, folder):
    """Rows, dictionaries of str or bytes or None, as a file in the folder or as a frame."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    path = Path(folder) / f"rows.{kind}"
    if kind.endswith(("csv", "tsv")):
        encoding = "utf-16" if kind.startswith("utf-16") else "utf-8"
        marks = {"csv": ",", "utf-16.csv": ",", "tsv": "\t", "semicolon.csv": ";"}
        with open(path, "w", encoding=encoding, newline="") as file:
            if kind == "semicolon.csv":
                file.write("\ufeffsep=;\r\n")
            writer = csv.writer(file, delimiter=marks[kind])
            writer.writerow(columns)
            writer.writerows([["" if row[name] is None else row[name] for name in columns] for row in rows])
    elif kind == "xlsx":
        _write_workbook(path, [columns, *([row.get(name) for name in columns] for row in rows)])
    elif kind == "array.json":
        path.write_text(
            json.dumps([{name: _json(value) for name, value in row.items()} for row in rows], indent=1)
        )
    elif kind == "columns.json":
        path.write_text(json.dumps({name: [_json(row.get(name)) for row in rows] for name in columns}))
    elif kind == "jsonl":
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            for row in rows:
                file.write(json.dumps({name: _json(value) for name, value in row.items()}) + "\n")
    elif kind == "tfrecord":
        _write_tfrecord(path, rows)
    else:
        return _frame(kind, rows, columns, path)
    return path


def _write_workbook(path, rows):
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def _json(value):
    return {"bytes": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _write_tfrecord(path, rows):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            example = tf.train.Example()
            for name, value in row.items():
                if value is not None:
                    data = value.encode() if isinstance(value, str) else value
                    example.features.feature[name].bytes_list.value.append(data)
            writer.write(example.SerializeToString())


def _frame(kind, rows, columns, path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: [row.get(name) for row in rows] for name in columns})
    if kind == "parquet":
        pq.write_table(table, path, row_group_size=3)
        return path
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        import polars as pl

        return pl.from_arrow(table)
    if kind == "tf.data":
        import tensorflow as tf

        values = {name: [row[name] or "" for row in rows] for name in columns}
        return tf.data.Dataset.from_tensor_slices(values)
    return table
