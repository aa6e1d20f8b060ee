"""Readers that are narrowed to a few rows and sent give the same values in another process."""

import base64
import csv
import io
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tfautolabel.data import Dataset, ReadFailure, load_dataset
from tfautolabel.data.narrowed import HeldReader, narrowed
from tfautolabel.data.readers import read_rows

ROWS = 400
TEXTS = [f'Text number {row}, in "quotes",\nwith an ä' for row in range(ROWS)]


def picture(shade):
    file = io.BytesIO()
    Image.new("L", (2, 2), shade).save(file, "PNG")
    return file.getvalue()


def folder(place):
    for row, text in enumerate(TEXTS):
        (place / "t" / f"{row % 3}").mkdir(parents=True, exist_ok=True)
        (place / "t" / f"{row % 3}" / f"{row:03d}.txt").write_text(text)
    return load_dataset(place / "t", modality="text")


def table(place, encoding="utf-8", column="text", values=TEXTS, name="t.csv"):
    with open(place / name, "w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([[column, "label"], *[[value, "a"] for value in values]])
    return place / name


def paths(place, below=False):
    (place / "photos" / "more").mkdir(parents=True)
    names = [f"{row}.png" for row in range(50)]
    for row, name in enumerate(names):
        (place / "photos" / ("more" if below else "") / name).write_bytes(picture(row))
    given = [f"photos/{name}" for name in names] if not below else names
    return load_dataset(table(place, column="path", values=given))


def parquet(place):
    pq.write_table(pa.table({"text": TEXTS}), place / "t.parquet", row_group_size=90)
    return load_dataset(place / "t.parquet")


SOURCES = {
    "folder": folder,
    "csv": lambda place: load_dataset(table(place)),
    "a csv that is converted": lambda place: load_dataset(table(place, "utf-16")),
    "json lines": lambda place: load_dataset(lines(place)),
    "parquet": parquet,
    "paths": paths,
    "paths of files somewhere below": lambda place: paths(place, below=True),
    "base64": lambda place: load_dataset(
        table(place, column="image", values=[base64.b64encode(picture(row)).decode() for row in range(60)])
    ),
    "a frame": lambda _: load_dataset(pd.DataFrame({"text": TEXTS})),
    "memory": lambda _: Dataset.from_inputs(TEXTS, modality="text"),
    "frames of pictures": lambda place: paths(place).with_frame(1),
    "a selection of a selection": lambda place: parquet(place).subset(range(20, 300)),
}


def lines(place):
    pd.DataFrame({"text": TEXTS}).to_json(place / "t.jsonl", orient="records", lines=True)
    return place / "t.jsonl"


@pytest.mark.parametrize("source", SOURCES)
def test_rows_that_are_sent_are_read_as_they_are_here(tmp_path, source, monkeypatch):
    dataset = SOURCES[source](tmp_path)
    rows = np.array([3, 4, 17, 40])
    expected = dataset.subset(rows).read(range(4))
    assert all(isinstance(value, bytes) for value in expected)
    sent = pickle.dumps(narrowed(dataset.subset(rows).reader, np.arange(4)))
    del dataset
    monkeypatch.chdir("/")
    assert read_rows(pickle.loads(sent), range(4)) == expected


@pytest.mark.parametrize("source", ["folder", "csv", "json lines", "parquet"])
def test_only_what_leads_to_the_rows_is_sent(tmp_path, source):
    dataset = SOURCES[source](tmp_path)
    few, many = (len(pickle.dumps(narrowed(dataset.reader, np.arange(count)))) for count in (100, 200))
    assert few < 100 * 40 + 1000  # the texts alone are more
    assert many - few < 100 * 40


def test_what_could_not_be_read_stays_so(tmp_path):
    (tmp_path / "a.txt").write_text("here")
    (tmp_path / "b.txt").write_text("not for long")
    dataset = load_dataset(tmp_path, modality="text")
    (tmp_path / "b.txt").unlink()
    sent = pickle.loads(pickle.dumps(HeldReader(read_rows(dataset.reader, [0, 1]))))
    assert sent.read(0) == b"here"
    with pytest.raises(ReadFailure, match="the file has gone since it was listed"):
        sent.read(1)


def test_a_reader_of_somebody_else_is_read_before_it_is_sent():
    class Own:
        """Cannot be pickled, and knows nothing of being narrowed."""

        def __init__(self):
            self.here = lambda row: b"%d" % row

        def __len__(self):
            return 9

        def read(self, row):
            return self.here(row)

    assert read_rows(pickle.loads(pickle.dumps(narrowed(Own(), np.array([7, 2])))), [0, 1]) == [b"7", b"2"]
