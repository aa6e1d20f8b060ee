import csv
import json
import shutil

import numpy as np
import pytest
from hub_modules import make_image_module
from separable import picture, write_flat

import tfautolabel as tal
from tfautolabel.runs import RunSettings

WRONG = ("003.png", "016.png", "035.png")


def rows_of(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Sixty pictures with labels, three of them wrong; a copy, a conflict, and a picture saved again."""
    base = tmp_path_factory.mktemp("place")
    make_image_module(base / "module")
    labels = write_flat(base / "pictures", 20)
    others = {"blue": "green", "green": "red", "red": "blue"}
    labels |= {name: others[labels[name]] for name in WRONG}
    for copy, of in (("copy.png", "000.png"), ("conflict.png", "001.png")):
        shutil.copyfile(base / "pictures" / of, base / "pictures" / copy)
    labels |= {"copy.png": labels["000.png"], "conflict.png": "red"}
    (base / "pictures" / "again.jpg").write_bytes(picture("red", 0, "JPEG", quality=90))
    labels["again.jpg"] = "red"
    (base / "pictures" / "broken.png").write_bytes(b"no picture")
    labels["broken.png"] = "red"
    lines = [f"{name},{label}\n" for name, label in labels.items()]
    (base / "labels.csv").write_text("path,label\n" + "".join(lines))
    return base


@pytest.fixture(scope="module")
def checked(place):
    before = (place / "labels.csv").read_bytes()
    found = tal.check_labels(
        place / "pictures", place / "checked", labels=place / "labels.csv",
        settings=RunSettings(backbone=str(place / "module")), cache_dir=place / "cache", progress=False,
    )  # fmt: skip
    assert (place / "labels.csv").read_bytes() == before
    return found


def test_wrong_labels_come_first_with_the_likelier_ones(place, checked):
    table = rows_of(place / "checked" / "check_labels.csv")
    assert [int(row["rank"]) for row in table] == list(range(1, 64))
    worst = {row["id"]: row for row in table[:4]}
    assert set(worst) == {*WRONG, "conflict.png"}
    for name in WRONG:
        row = worst[name]
        assert row["likelier"] == ("blue", "green", "red")[int(name[:3]) % 3] != row["given"]
        assert float(row["score"]) < 0.5
        assert "is likelier" in row["why"]
    assert 2 <= checked.quality.number <= 8
    assert checked.sentence().startswith("check these ")
    assert checked.record["wrong"] == checked.quality.number
    record = json.loads((place / "checked" / "check_labels.json").read_text())
    assert record["labels"] == 63
    assert record["settings"]["backbone"] == str(place / "module")


def test_copies_conflicts_and_near_copies_are_told(place, checked):
    table = rows_of(place / "checked" / "duplicates.csv")
    groups = {}
    for row in table:
        kept = groups.setdefault(row["group"], (row["kind"], row["conflicting"], []))
        kept[2].append(row["id"])
    assert sorted((kind, told, sorted(ids)) for kind, told, ids in groups.values()) == [
        ("near", "false", ["002.png", "again.jpg"]),
        ("same", "false", ["000.png", "copy.png"]),
        ("same", "true", ["001.png", "conflict.png"]),
    ]
    assert len(checked.conflicts) == 1
    why = {row["id"]: row["why"] for row in rows_of(place / "checked" / "check_labels.csv")}
    assert "the same content as conflict.png, which is given red" in why["001.png"]
    assert "the same content as 001.png, which is given green" in why["conflict.png"]
    assert why["copy.png"] == why["000.png"]


def test_what_is_unlike_and_what_cannot_be_read_is_told(place, checked):
    unlike = rows_of(place / "checked" / "unlike.csv")
    assert len(unlike) == 3
    scores = [float(row["score"]) for row in unlike]
    assert scores == sorted(scores, reverse=True)
    assert unlike[0]["id"] == checked.examples.ids[checked.unlike[0]]
    assert [row["id"] for row in rows_of(place / "checked" / "unreadable.csv")] == ["broken.png"]
    assert [item.id for item in checked.unreadable] == ["broken.png"]


def test_the_corrected_table_goes_back_in_as_labels(place, checked, tmp_path):
    file = tmp_path / "corrected.csv"
    text = (place / "checked" / "check_labels.csv").read_text()
    given = next(
        row["given"] for row in rows_of(place / "checked" / "check_labels.csv") if row["id"] == WRONG[0]
    )
    file.write_text(text.replace(f"{WRONG[0]},{given},", f"{WRONG[0]},blue,"))
    again = tal.load_dataset(place / "pictures", file)
    labels = dict(zip(again.ids.tolist(), again.class_ids.tolist(), strict=True))
    assert again.classes == ("blue", "green", "red")
    assert again.classes[labels[WRONG[0]]] == "blue"
    expected = dict(zip(checked.examples.ids.tolist(), checked.given.tolist(), strict=True))
    assert {name: labels[name] for name in expected if name != WRONG[0]} == {
        name: class_id for name, class_id in expected.items() if name != WRONG[0]
    }


def test_the_order_of_the_labels_changes_nothing(place, checked, tmp_path):
    header, *lines = (place / "labels.csv").read_text().splitlines()
    shuffled = [lines[row] for row in np.random.default_rng(0).permutation(len(lines))]
    (tmp_path / "labels.csv").write_text("\n".join([header, *shuffled]) + "\n")
    again = tal.check_labels(
        place / "pictures", labels=tmp_path / "labels.csv",
        settings=RunSettings(backbone=str(place / "module")), cache_dir=place / "cache", progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(again.quality.scores, checked.quality.scores)
    assert again.out is None
    assert again.why == checked.why


@pytest.mark.parametrize("name", ["check_labels.csv", "unlike.csv", "check_labels.json"])
def test_files_of_others_and_inputs_stay(place, tmp_path, name):
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(ValueError, match="was not written by this command"):
        tal.check_labels(place / "pictures", tmp_path, labels=place / "labels.csv")
    assert (tmp_path / name).read_text() == "mine\n"
    with pytest.raises(ValueError, match="out must be another folder than the data"):
        tal.check_labels(place / "pictures", place / "pictures", labels=place / "labels.csv")


def test_results_replace_earlier_ones_but_never_the_labels(place, checked, tmp_path):
    shutil.copytree(place / "checked", tmp_path / "checked")
    table = tmp_path / "checked" / "check_labels.csv"
    before = table.read_bytes()
    settings = RunSettings(backbone=str(place / "module"))
    options = {"settings": settings, "cache_dir": place / "cache", "progress": False}
    tal.check_labels(place / "pictures", table.parent, labels=place / "labels.csv", **options)
    assert table.read_bytes() == before
    with pytest.raises(ValueError, match="results must not replace an input"):
        tal.check_labels(place / "pictures", table.parent, labels=table, **options)
