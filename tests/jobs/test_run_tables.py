"""`run` on texts in tables and on sound clips, end to end, with small modules."""

import csv
import json

import numpy as np
import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_audio_module, make_text_module
from table_files import write_table

import tfautolabel as tal
from tfautolabel._cache import cache_dir
from tfautolabel.jobs.run import run
from tfautolabel.labeler import choose
from tfautolabel.preprocessors.sounds.wave import wav_bytes
from tfautolabel.runs import RunSettings

WORDS = {"good": ("good", "great"), "bad": ("bad", "poor")}


def texts(count, labelled):
    """Rows whose first words tell the class; the first ones labelled, one blank, one that lacks its text."""
    rows = []
    for number in range(count):
        truth = ("good", "bad")[number % 2]
        words = [WORDS[truth][number // 2 % 2]] * 3 + ["film", "the"] * (number % 4)
        label = truth if number < labelled else ""
        rows.append({"name": f"r{number:03d}", "text": " ".join(words), "label": label, "truth": truth})
    rows[-1]["text"] = "  "
    return rows


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    return {
        "text": str(make_text_module(folder / "text")),
        "audio": str(make_audio_module(folder / "audio")),
    }


def labels_in(out):
    with open(out / "predictions.csv", encoding="utf-8", newline="") as file:
        return {row["id"]: row["label"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "pandas"])
def test_rows_without_a_label_are_labelled(modules, kind, tmp_path):
    rows = texts(60, labelled=16)
    said = []
    result = run(
        write_table(kind, rows, tmp_path),
        out=tmp_path / "out",
        settings=RunSettings(backbone=modules["text"], id_column="name", min_confidence=0.0),
        cache_dir=tmp_path / "cache",
        progress=False,
        say=said.append,
    )
    assert labels_in(tmp_path / "out") == {row["name"]: row["truth"] for row in rows[16:-1]}
    assert [unreadable.id for unreadable in result.unreadable] == ["r059"]
    assert "60 texts in column 'text', labels in column 'label', names in column 'name'" in said[0]
    assert result.record["counts"]["to_label"] == 43
    served = tal.load_exported(tmp_path / "out" / "model")
    assert served.modality == "text"
    (part,) = served.label_parts(tal.Dataset.from_inputs(["good good", "poor bad"]), progress=False)
    # These few texts are copies of four, so that held-out ones do not support accepting a label.
    assert part.predicted.tolist() == ["good", "bad"]


def test_the_commands_on_a_table(modules, tmp_path):
    table = write_table("csv", texts(60, labelled=16), tmp_path)
    done = tfautolabel(
        *("run", table, "--input-column", "text", "--label-column", "label", "--id-column", "name"),
        *("--out", tmp_path / "out", "--backbone", modules["text"], "--cache-dir", tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    assert "60 texts in column 'text'" in done.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert record["inputs"]["modality"] == "text"
    model = tmp_path / "out" / "model"
    assert tfautolabel("check", model).returncode == 0
    truth = ("--label-column", "truth", "--id-column", "name", "--input-column", "text")
    done = tfautolabel("evaluate", model, table, *truth, "--json")
    assert json.loads(done.stdout) == {"count": 59, "agreement": 1.0, "learnt_from": 59}, "they are few texts"
    assert (
        "all 59 examples: 59 labels agree, which is no accuracy"
        in tfautolabel("evaluate", model, table, *truth).stdout
    )
    (tmp_path / "new").mkdir()
    longer = [row | {"text": row["text"] + " film the" * 5} for row in texts(20, labelled=0)[:-1]]
    mixed = write_table("csv", [*texts(60, labelled=0)[20:30], *longer], tmp_path / "new")
    measured = json.loads(tfautolabel("evaluate", model, mixed, *truth, "--json").stdout)
    assert (measured["count"], measured["learnt_from"], measured["accuracy"]) == (19, 10, 1.0)
    done = tfautolabel(
        "label", model, table, "--id-column", "name", "--out", tmp_path / "new.jsonl", "--quiet"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    lines = (tmp_path / "new.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 59
    assert json.loads(lines[0])["id"] == "r000"


def test_mistakes_with_columns(modules, tmp_path):
    table = write_table("csv", texts(10, labelled=10), tmp_path)
    arguments = ("run", table, "--out", tmp_path / "out", "--backbone", modules["text"])
    assert_one_sentence(tfautolabel(*arguments, "--input-column", "words"), "'words'", "'text'", "rows.csv")
    assert_one_sentence(tfautolabel(*arguments), "something to label", "every row has a label")
    done = tfautolabel(*arguments, "--modality", "smell")
    assert_one_sentence(done, "'smell'", "'audio'")
    done = tfautolabel("run", tmp_path, "--labels", table, "--input-column", "text", "--out", tmp_path / "o")
    assert_one_sentence(done, "columns are for tables")


def clip(kind, number):
    rng = np.random.default_rng(number)
    second = np.arange(16_000) / 16_000
    hum, noise = np.sin(2 * np.pi * (150 + number) * second), rng.normal(0, 0.4, len(second))
    return wav_bytes(0.7 * np.clip(hum if kind == "hum" else noise, -1, 1), 16_000)


def test_a_folder_of_clips_with_a_labels_file(modules, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    truth = {f"{number:02d}.wav": ("hum", "noise")[number % 2] for number in range(24)}
    for number, (name, kind) in enumerate(truth.items()):
        (clips / name).write_bytes(clip(kind, number))
    (clips / "broken.wav").write_bytes(clip("hum", 0)[:30])
    given = dict(list(truth.items())[:12])
    with open(tmp_path / "labels.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *given.items()])
    done = tfautolabel(
        *("run", clips, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "out"),
        *("--backbone", modules["audio"], "--cache-dir", tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    assert "25 files, taken for sound clips" in done.stderr
    labels = labels_in(tmp_path / "out")
    assert labels == {name: kind for name, kind in truth.items() if name not in given}
    with open(tmp_path / "out" / "unreadable.csv", encoding="utf-8", newline="") as file:
        (unreadable,) = csv.DictReader(file)
    assert unreadable["id"] == "broken.wav"
    assert "WAV" in unreadable["reason"]
    assert "healthy" in tfautolabel("check", tmp_path / "out" / "model").stdout


@pytest.mark.packaged
def test_the_best_backbone_is_chosen_and_the_choice_is_explained(tmp_path, monkeypatch):
    """Chinese texts: two candidates and the one without transfer, and the reasons are on record."""
    smaller = {name: entry for name, entry in choose.PACKAGED.items() if name != "e5-small"}
    monkeypatch.setattr(choose, "PACKAGED", smaller)
    good, bad = "这家餐馆的服务很好 非常喜欢 推荐", "太差了 服务态度很差 再也不来了"
    rows = [
        {"text": f"{(good, bad)[number % 2]} {number}号", "label": "" if number > 20 else "ab"[number % 2]}
        for number in range(30)
    ]
    table = write_table("csv", rows, tmp_path)
    arguments = ("run", table, "--out", tmp_path / "out", "--cache-dir", tmp_path / "cache")
    done = tfautolabel(*arguments, "--backbone", "auto", cache=cache_dir())
    assert done.returncode == 0, done.stderr
    assert "backbone chosen on the labelled examples: packaged:" in done.stderr
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    trials = record["backbone"]["choice"]
    assert len(trials) == 3
    assert trials[0]["handle"] == record["backbone"]["handle"]
    assert set(labels_in(tmp_path / "out").values()) == {"a", "b"}
