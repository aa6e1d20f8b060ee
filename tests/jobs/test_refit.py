"""A run again with answers from elsewhere."""

import csv
import json

import pytest
from hub_modules import make_text_module
from unchecked_exports import unchecked_exports

from tfautolabel.jobs import run
from tfautolabel.jobs.refit import refit
from tfautolabel.runs import RunSettings
from tfautolabel.runs.inputs import Source
from tfautolabel.runs.said import read_said

WORDS = {"praise": "good great film", "blame": "bad poor film"}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    with unchecked_exports():
        yield


def rows_of(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def export(file, answers):
    """An export of Label Studio with these answers; None for a task that was skipped."""
    tasks = []
    for number, (name, label) in enumerate(answers.items(), 1):
        result = [] if label is None else [{"type": "choices", "value": {"choices": [label]}}]
        annotation = {"was_cancelled": label is None, "result": result}
        tasks.append({"id": number, "data": {"text": "t", "tal_id": name}, "annotations": [annotation]})
    file.write_text(json.dumps(tasks), encoding="utf-8")
    return file


def test_answers_are_added_to_the_labels_and_learnt_from(tmp_path):
    with open(tmp_path / "texts.csv", "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])  # without names: the rows are numbered
        for number in range(16):
            name = list(WORDS)[number % 2]
            writer.writerow([f"{WORDS[name]} {number}", name if number < 6 else ""])
    out, settings = tmp_path / "out", RunSettings(backbone=str(make_text_module(tmp_path / "module")), seed=3)
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    first = run(tmp_path / "texts.csv", out, settings=settings, **options)
    before = {path.name for path in out.iterdir()}

    with pytest.raises(ValueError, match="a new answer is needed"):
        refit(out, export(tmp_path / "e.json", {"1": "blame", "7": None}), **options)
    assert {path.name for path in out.iterdir()} == before

    answers = {"1": "praise", "7": "blame", "8": "praise", "9": None, "0": "praise"}
    again = refit(out, export(tmp_path / "e.json", answers), **options)
    rows = rows_of(out / "label_studio.1.csv")
    assert {name: (row["label"], row["asked"]) for name, row in rows.items() if row["label"]} == {
        "0": ("praise", "given"), "1": ("praise", "given"), "2": ("praise", "given"),
        "3": ("blame", "given"), "4": ("praise", "given"), "5": ("blame", "given"),
        "7": ("blame", "chosen"), "8": ("praise", "chosen"),
    }  # fmt: skip
    assert again.record["inputs"]["labels"] == str(out / "label_studio.1.csv")
    assert again.record["settings"] == first.record["settings"]
    assert again.record["id"] != first.record["id"]
    assert set(rows_of(out / "predictions.csv")) == {str(n) for n in range(16)} - set(rows_of_known(rows))
    said = read_said(Source("no folder", out / "label_studio.1.csv"), [*rows])
    assert said.drawn == {"0", "1", "2", "3", "4", "5"}

    # With all of them answered, nothing is left to label: what was there stays.
    left = export(tmp_path / "e.json", {str(number): list(WORDS)[number % 2] for number in range(16)})
    before = {path.name for path in out.iterdir()}
    with pytest.raises(ValueError, match="something to label"):
        refit(out, left, **options)
    assert {path.name for path in out.iterdir()} == before

    # The next time goes on from these labels.
    last = refit(out, export(tmp_path / "e.json", {"10": "praise"}), **options)
    assert last.record["inputs"]["labels"] == str(out / "label_studio.2.csv")
    rows = rows_of(out / "label_studio.2.csv")
    assert {name for name, row in rows.items() if row["asked"] == "chosen"} == {"7", "8", "10"}


def rows_of_known(rows):
    return [name for name, row in rows.items() if row["label"]]


def test_a_run_with_labels_elsewhere_or_without_its_data_cannot_learn(tmp_path, monkeypatch):
    inputs = {"data": str(tmp_path / "gone"), "labelled": str(tmp_path / "classes"), "modality": "text"}
    record = {"inputs": inputs, "settings": {}}
    monkeypatch.setattr("tfautolabel.jobs.refit.read_record", lambda _: record)
    with pytest.raises(ValueError, match="labelled examples are in"):
        refit(tmp_path, tmp_path / "e.json")
    del inputs["labelled"]
    with pytest.raises(FileNotFoundError, match="whose data was"):
        refit(tmp_path, tmp_path / "e.json")
