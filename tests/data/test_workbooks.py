import os
import sys

import numpy as np
import pytest
from openpyxl import load_workbook

from tfautolabel._optional import MissingExtraError
from tfautolabel.data import load_dataset, workbooks, write_labels
from tfautolabel.data.writers import COLUMNS
from tfautolabel.jobs.merge import output_files
from tfautolabel.labels import Labels


def some_labels(ids):
    probabilities = np.tile([[0.9, 0.1]], (len(ids), 1))
    return Labels.from_probabilities(ids, probabilities, ["=cat", "dog\x07"], min_confidence=0.8)


def test_labels_in_a_workbook(tmp_path):
    ids = ["a.jpg", "=1+1", "bell\x07", "caf\udce9", "+x"]
    write_labels(some_labels(ids), tmp_path / "labels.xlsx")
    rows = list(load_workbook(tmp_path / "labels.xlsx").active.iter_rows(values_only=True))
    assert rows[0] == COLUMNS
    assert [row[0] for row in rows[1:]] == ["a.jpg", "=1+1", "bell?", "caf\\udce9", "+x"]
    assert rows[1][1:] == ("=cat", 0.9, True, "dog?", 0.1, "model", None, None)
    cells = load_workbook(tmp_path / "labels.xlsx").active
    assert {cell.data_type for cell in cells["A"]} == {"s"}  # no formula
    again = load_dataset(tmp_path / "labels.xlsx", input_column="id", modality="text")
    assert (again.classes, len(again)) == (("=cat",), 5)


def test_what_a_sheet_cannot_hold_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="a cell of a workbook holds 32,767 characters"):
        write_labels(some_labels(["x" * 40_000]), tmp_path / "labels.xlsx")
    monkeypatch.setattr(workbooks, "MAX_ROWS", 3)
    with pytest.raises(ValueError, match="a sheet holds 3 rows at most"):
        write_labels(some_labels(["a", "b", "c"]), tmp_path / "labels.xlsx")
    assert os.listdir(tmp_path) == []


def test_a_folder_never_gets_the_name_of_a_table(tmp_path, monkeypatch):
    for name in ("x.xls", "x.json", "x.tsv", "x.ods", "x.csv.gz"):
        with pytest.raises(ValueError, match=r"ends in \.csv, \.jsonl, \.parquet, \.xlsx, or to a folder"):
            output_files(tmp_path / name)
    assert output_files(tmp_path / "X.XLSX")[0] == tmp_path / "X.XLSX"
    assert output_files(tmp_path / "v1.2")[0].parent == tmp_path / "v1.2"
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingExtraError, match=r"tfautolabel\[excel\]"):
        output_files(tmp_path / "x.xlsx")
