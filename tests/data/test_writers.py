import csv
import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tfautolabel.data import Unreadable, write_labels, write_unreadable, writers
from tfautolabel.labels import ORIGINS, Labels

COLUMNS = ["id", "label", "confidence", "accepted", "second_label", "second_confidence", "origin"]
COLUMNS += ["reason", "ood_score"]
ENDINGS = [".csv", ".jsonl", ".parquet"]
on_one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def read(path):
    """The rows of a written file, with every format's values brought to Python's types."""
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with open(path, encoding="utf-8", newline="") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return [
            {
                **row,
                "confidence": float(row["confidence"]),
                "accepted": {"true": True, "false": False}[row["accepted"]],
                "second_confidence": float(row["second_confidence"]),
                "ood_score": float(row["ood_score"]) if row["ood_score"] else None,
            }
            for row in csv.DictReader(file, strict=True)
        ]


def readable(text):
    return text.encode("utf-8", "backslashreplace").decode()


@st.composite
def some_labels(draw):
    # Surrogates too: they stand for file names that are not UTF-8.
    names = st.text(st.characters(exclude_categories=[]), max_size=8)
    classes = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(names, max_size=6, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    probabilities = rng.dirichlet(np.ones(len(classes)), len(ids)).astype(np.float32)
    labels = Labels.from_probabilities(ids, probabilities, classes, draw(st.floats(0, 1)))
    labels.origin[:] = rng.choice(ORIGINS, len(ids))
    labels.ood_score[:] = rng.choice([np.nan, 0.25, -3.5], len(ids))
    return labels


def two_cats():
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55]])
    return Labels.from_probabilities(["a.jpg", "b, c.jpg"], probabilities, ["cat", "dog"], min_confidence=0.8)


def test_csv_to_the_letter(tmp_path):
    write_labels(two_cats(), tmp_path / "labels.csv")
    assert (tmp_path / "labels.csv").read_bytes() == (
        b"id,label,confidence,accepted,second_label,second_confidence,origin,reason,ood_score\n"
        b"a.jpg,cat,0.900000,true,dog,0.100000,model,,\n"
        b'"b, c.jpg",dog,0.550000,false,cat,0.450000,model,not_sure_enough,\n'
    )


def test_jsonl_to_the_letter(tmp_path):
    write_labels(two_cats(), tmp_path / "labels.jsonl")
    assert (tmp_path / "labels.jsonl").read_text().splitlines()[1] == (
        '{"id": "b, c.jpg", "label": "dog", "confidence": 0.55, "accepted": false, '
        '"second_label": "cat", "second_confidence": 0.45, "origin": "model", '
        '"reason": "not_sure_enough", "ood_score": null}'
    )


def test_parquet_has_plain_types_and_compact_labels(tmp_path):
    write_labels(two_cats(), tmp_path / "labels.parquet")
    file = pq.ParquetFile(tmp_path / "labels.parquet")
    assert file.schema_arrow.names == COLUMNS
    text, real = pa.string(), pa.float32()
    assert file.schema_arrow.types == [text, text, real, pa.bool_(), text, real, text, text, real]
    encodings = [file.metadata.row_group(0).column(index).encodings for index in range(9)]
    assert ["RLE_DICTIONARY" in names for names in encodings] == [
        False,
        True,
        False,
        False,
        True,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rows_at_once", [1, 2, 1000])
@on_one_file
@given(some_labels())
@example(Labels.from_probabilities(["a\rb", "c\nd", 'e"f', "\udcff", "\x00"], np.ones((5, 1)), ["x\r"]))
def test_what_is_written_is_read_again(tmp_path, ending, rows_at_once, labels):
    path = tmp_path / f"labels{ending}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "ROWS_AT_ONCE", rows_at_once)
        write_labels(labels, path)
    rows = read(path)
    order = np.argsort(-labels.probabilities, axis=1, kind="stable")
    one_class = len(labels.classes) == 1
    assert len(rows) == len(labels)
    for number, row in enumerate(rows):
        assert list(row) == COLUMNS
        first = order[number, 0]
        assert row["id"] == readable(labels.ids[number])
        assert row["label"] == readable(labels.classes[first])
        assert row["confidence"] == pytest.approx(labels.probabilities[number, first], abs=1e-6)
        assert row["accepted"] is bool(labels.class_ids[number] >= 0)
        assert row["origin"] == labels.origin[number]
        assert row["reason"] == ("" if row["accepted"] else "not_sure_enough")
        score = labels.ood_score[number]
        assert row["ood_score"] == (None if np.isnan(score) else score)
        if one_class:
            assert (row["second_label"], row["second_confidence"]) == ("", 0.0)
        else:
            second = order[number, 1]
            assert row["second_label"] == readable(labels.classes[second])
            assert row["second_confidence"] == pytest.approx(labels.probabilities[number, second], abs=1e-6)


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows_give_a_file_that_can_be_read(tmp_path, ending):
    path = tmp_path / f"labels{ending}"
    write_labels(Labels.from_probabilities([], np.zeros((0, 2)), ["cat", "dog"]), path)
    assert read(path) == []


def test_capital_endings_count(tmp_path):
    write_labels(two_cats(), tmp_path / "L.CSV")
    assert (tmp_path / "L.CSV").read_bytes().startswith(b"id,")


@pytest.mark.parametrize("name", ["labels.xls", "labels", ".csv"])
def test_other_endings_are_refused_before_anything_is_made(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.csv, \.jsonl, \.parquet, \.xlsx\. Received: path="):
        write_labels(two_cats(), tmp_path / "new" / name)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_failure_in_the_middle_leaves_the_old_file(tmp_path, ending, monkeypatch):
    path = tmp_path / f"labels{ending}"
    path.write_bytes(b"old")
    monkeypatch.setattr(writers, "ROWS_AT_ONCE", 1)
    labels = two_cats()
    labels.ids[1] = None
    with pytest.raises(AttributeError):
        write_labels(labels, path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]


@on_one_file
@given(st.lists(st.builds(Unreadable, *[st.text(st.characters(exclude_categories=[]))] * 2)))
def test_unreadable_is_read_again_in_order(tmp_path, unreadable):
    path = tmp_path / "new" / "unreadable.csv"
    write_unreadable(iter(unreadable), path)
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["id", "reason"]
    assert rows == [[readable(item.id), readable(item.reason)] for item in unreadable]
