import csv
import hashlib
import json
import os
import re
import signal
import time
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
from command import start, tfautolabel
from hub_modules import make_image_module
from pictures import encode, image, png
from separable import CLASSES, NAMES, picture, write_flat, write_folder_per_class

from tfautolabel.backbones import backbone
from tfautolabel.backbones.weights_digest import WeightsDigest
from tfautolabel.data import folder_dataset, learnt
from tfautolabel.data.modality import SAMPLE
from tfautolabel.data.readers import FileReader
from tfautolabel.features import extract
from tfautolabel.runs import RunSettings

COLUMNS = ["id", "label", "confidence", "accepted", "second_label", "second_confidence", "origin"]
COLUMNS += ["reason", "ood_score"]


def rows(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def record(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def write_labels_file(file, labels):
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label"])
        writer.writerows(labels.items())


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return make_image_module(tmp_path_factory.mktemp("backbones") / "module")


def broken_files(folder):
    """Writes files that cannot be read in every way, and returns the reason expected of each."""
    whole = picture("red", 5)
    big = encode(image(side=400), "JPEG", quality=95)
    contents = {
        "empty.jpg": (b"", "empty file"),
        "zeros.png": (bytes(4096), "only zero bytes"),
        "text.jpg": (b"I am not a picture\n", "not a picture: text"),
        "page.jpg": (b"<!DOCTYPE html><html>404</html>", "a web page"),
        "cut.jpg": (big[: len(big) // 2], "truncated JPEG"),
        "cut.png": (whole[:-300], "truncated PNG"),
        "damaged.png": (whole[:60] + bytes(200) + whole[260:], "damaged PNG"),
        "bomb.png": (png(np.zeros((4, 4, 3), np.uint8), 8, 2, width=50000, height=50000), "too many pixels"),
        "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "no picture: a .pdf file beside pictures"),
        "one-bit.bmp": (encode(image("1"), "BMP"), "BMP with 1 bits a pixel"),
        "deep/cut.gif": (encode(image("P"), "GIF")[:200], "truncated GIF"),
        "cut.tif": (encode(image(), "TIFF")[:90], "damaged TIFF picture"),
    }
    (folder / "deep").mkdir()
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.jpg").mkdir()
    (folder / "broken-link.png").symlink_to("nowhere.png")
    outside = folder.parent / "outside.png"
    outside.write_bytes(whole)
    (folder / "outside.png").symlink_to(outside)
    os.mkfifo(folder / "pipe.jpg")
    return {name: reason for name, (_, reason) in contents.items()} | {
        "folder.jpg": "a directory, not an image file",
        "broken-link.png": "a broken link",
        "outside.png": "a link that leads out of the folder",
        "pipe.jpg": "not a regular file",
    }


class Run:
    """One run of the hostile folder, and what was in it."""

    def __init__(self, base, module):
        self.base, self.module = base, module
        self.photos, self.out, self.cache = base / "photos", base / "photos" / "out", base / "cache"
        names = dict(zip(CLASSES, NAMES, strict=True))
        self.truth = {file: names[name] for file, name in write_flat(self.photos, 66).items()}
        for number, file in enumerate(["[red]x[bold].png", 'a,"b"\nc.png', "Ünï😀.png"]):
            (self.photos / file).write_bytes(picture("red", 500 + number))
            self.truth[file] = names["red"]
        (self.photos / "wrong-ending.txt").write_bytes(picture("green", 600, kind="JPEG", quality=95))
        self.truth["wrong-ending.txt"] = names["green"]
        self.reasons = broken_files(self.photos)
        self.given = {file: self.truth[file] for file in sorted(self.truth)[:15]}
        self.given["Ünï😀.png"] = names["red"]
        for name in names.values():
            assert list(self.given.values()).count(name) >= 4
        self.labels = base / "labels.csv"
        ignored = {"gone.png": NAMES[0], "cut.png": NAMES[0]}
        write_labels_file(self.labels, self.given | ignored)
        self.done = self()

    def __call__(self, *options):
        return tfautolabel(
            *("run", self.photos, "--labels", self.labels, "--out", self.out, "--backbone", self.module),
            *("--cache-dir", self.cache, "--min-confidence", "0.5", "--head", "linear", *options),
        )


class Counts:
    """How often a run does what takes long with many files or large weights."""

    def __init__(self, patch):
        self.listed, self.read, self.hashed, self.weights = Counter(), Counter(), Counter(), 0
        listing, read, key = folder_dataset.list_folder, FileReader.read, extract.content_key

        def count_listing(root, *arguments, **options):
            self.listed[str(root)] += 1
            return listing(root, *arguments, **options)

        def count_read(reader, row):
            self.read[reader._paths[row]] += 1
            return read(reader, row)

        def count_key(content):
            self.hashed[content] += 1
            return key(content)

        class Digest(WeightsDigest):
            def of(digest, *arguments):
                before = digest._digest
                found = super().of(*arguments)
                self.weights += before is None or digest._digest is not before
                return found

        patch.setattr(folder_dataset, "list_folder", count_listing)
        patch.setattr(FileReader, "read", count_read)
        patch.setattr(extract, "content_key", count_key)
        patch.setattr(learnt, "_hashes", lambda dataset: pytest.fail("read again to be hashed"))
        patch.setattr(backbone, "WeightsDigest", Digest)


@pytest.fixture(scope="module")
def hostile(module, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        counts = Counts(patch)
        run = Run(tmp_path_factory.mktemp("hostile"), module)
    run.counts = counts
    return run


def test_nothing_is_listed_read_or_hashed_more_often_than_it_is_needed(hostile):
    counts = hostile.counts
    assert counts.listed == {str(hostile.photos): 1}
    assert counts.weights == 1
    assert set(counts.hashed.values()) == {1}
    good = [name for name in hostile.truth if "/" not in name]
    assert set(good) < set(counts.read)
    # To recognise what they are; for the probe without transfer; small copies for the report.
    again = SAMPLE + len(hostile.given) + (hostile.out / "report.html").read_text("utf-8").count("<img")
    assert sum(counts.read.values()) <= len(counts.read) + again


def test_a_hostile_folder_ends_well(hostile):
    assert hostile.done.returncode == 0, hostile.done.stderr
    assert "Traceback" not in hostile.done.stderr


def test_every_good_file_is_labelled_and_rightly(hostile):
    labels = {row["id"]: row for row in rows(hostile.out / "predictions.csv")}
    assert labels.keys() == hostile.truth.keys() - hostile.given.keys()
    assert len(labels) > 180
    right = [labels[name]["label"] == hostile.truth[name] for name in labels]
    assert np.mean(right) > 0.98


def test_every_broken_file_is_set_aside_with_its_reason(hostile):
    unreadable = rows(hostile.out / "unreadable.csv")
    assert list(unreadable[0]) == ["id", "reason"]
    found = {row["id"]: row["reason"] for row in unreadable}
    assert found.keys() == hostile.reasons.keys()
    assert len(unreadable) == len(found) >= 15
    for name, reason in hostile.reasons.items():
        assert reason in found[name], name


def test_labels_that_cannot_be_used_are_warned_of(hostile):
    warnings = [line for line in hostile.done.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "ignored 1 label for files that were not found" in warnings[0]
    assert "'gone.png' (line" in warnings[0]
    assert "1 of 17 labelled examples could not be read and are left out" in warnings[1]
    assert "cut.png: truncated PNG" in warnings[1]


def test_the_columns_of_the_labels(hostile):
    labels = rows(hostile.out / "predictions.csv")
    assert list(labels[0]) == COLUMNS
    for row in labels:
        confidence, second = float(row["confidence"]), float(row["second_confidence"])
        assert 1 >= confidence >= second >= 0
        assert row["accepted"] == ("false" if row["reason"] else "true")
        if row["reason"] != "unlike_anything_labelled":
            assert row["accepted"] == ("true" if confidence >= 0.5 else "false")
        assert {row["label"], row["second_label"]} <= set(NAMES)
        assert row["label"] != row["second_label"]
        assert row["origin"] == "model"
    table = pq.read_table(hostile.out / "predictions.parquet")
    assert table.column_names == COLUMNS
    assert table["id"].to_pylist() == [row["id"] for row in labels] == sorted(row["id"] for row in labels)
    assert table["label"].to_pylist() == [row["label"] for row in labels]
    assert table["accepted"].to_pylist() == [row["accepted"] == "true" for row in labels]
    csv_confidence = [float(row["confidence"]) for row in labels]
    np.testing.assert_allclose(table["confidence"].to_numpy(), csv_confidence, atol=1e-6)


def test_the_record_says_what_was_done(hostile):
    made = record(hostile.out)
    assert set(made) == {
        *("format_version", "id", "files"),
        *("started", "versions", "inputs", "notes", "settings", "backbone", "counts", "cross_validation"),
        *("seconds", "transfer", "calibration", "certificate", "estimate", "acceptance", "unlike", "audit"),
        *("shift", "earned", "evaluation", "baseline", "tuning", "rules", "descriptions", "engine"),
        "pool_sample",
    }
    taken, *others = made["notes"]
    assert re.fullmatch(rf"{re.escape(str(hostile.photos))}: \d+ files, taken for pictures", taken)
    assert len(others) == 2
    assert "'paper.pdf'" in others[0]
    assert "1 link leads out of the folder" in others[1]
    assert {"tfautolabel", "python", "tensorflow", "keras", "numpy", "scikit-learn"} <= set(made["versions"])
    assert made["inputs"]["labels_sha256"] == hashlib.sha256(hostile.labels.read_bytes()).hexdigest()
    assert made["inputs"]["data"] == str(hostile.photos)
    asked = RunSettings(backbone=str(hostile.module), min_confidence=0.5, head="linear")
    assert made["settings"] == asked.to_dict()
    assert made["tuning"] is None
    assert made["rules"] is None
    assert made["certificate"] is None, "nobody asked for one"
    assert made["estimate"]["kind"] == "impossible", "16 labels are too few"
    assert made["backbone"]["choice"] is None
    assert made["backbone"]["handle"] == f"hub:{hostile.module}"
    assert len(made["backbone"]["fingerprint"]) >= 32
    counts, labels = made["counts"], rows(hostile.out / "predictions.csv")
    assert counts["labelled"] == 16
    assert counts["to_label"] == len(labels)
    assert counts["accepted"] == sum(row["accepted"] == "true" for row in labels)
    assert counts["unreadable"] == len(hostile.reasons)
    assert counts["features_computed"] == len(hostile.truth)
    assert counts["features_reused"] == 0
    assert set(counts["classes"]) == set(NAMES)
    for name in NAMES:
        own = [row for row in labels if row["label"] == name]
        assert counts["classes"][name] == {
            "labelled": list(hostile.given.values()).count(name),
            "predicted": len(own),
            "accepted": sum(row["accepted"] == "true" for row in own),
        }
    low, high = made["cross_validation"]["accuracy_interval_95"]
    assert 0 <= low <= made["cross_validation"]["accuracy"] <= high <= 1
    assert made["cross_validation"]["examples"] == 16
    assert set(made["seconds"]) == {"listing", "backbone", "features", "head", "labels", "export"} | {
        *("evidence", "baseline")
    }


def test_the_model_is_there_with_its_description(hostile):
    assert (hostile.out / "model" / "1" / "saved_model.pb").is_file()
    description = json.loads((hostile.out / "model" / "1" / "labeler.json").read_text(encoding="utf-8"))
    assert tuple(description["classes"]) == tuple(sorted(NAMES))
    assert sorted(path.name for path in hostile.out.iterdir()) == [
        *("audit_pool.parquet", "evidence.npz", "learnt.txt", "model", "predictions.csv"),
        *("predictions.parquet", "report.html", "run.json", "unreadable.csv"),
    ]
    assert [path.name for path in (hostile.out / "model").iterdir()] == ["1"]


def test_the_summary_says_what_a_user_wants_to_know(hostile):
    text, made = hostile.done.stdout, record(hostile.out)
    for name in NAMES:
        assert name.splitlines()[0] in text
    assert f"{made['cross_validation']['accuracy']:.1%} on the 16 labelled examples" in text
    assert f"{made['counts']['accepted']} of {made['counts']['to_label']} (" in text
    assert f"{len(hostile.reasons)} examples that could not be read" in text
    for file in ("predictions.csv", "predictions.parquet", "unreadable.csv", "model/1", "run.json"):
        assert str(hostile.out / file) in text


def test_a_second_run_reuses_the_features_gives_the_same_and_says_nothing_when_quiet(hostile):
    """Its results lie in the photo folder, and must not be taken for photos."""
    before = (hostile.out / "predictions.csv").read_bytes(), (hostile.out / "unreadable.csv").read_bytes()
    done = hostile("--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    assert all(line.startswith("warning: ") for line in done.stderr.splitlines())
    counts = record(hostile.out)["counts"]
    assert (counts["features_computed"], counts["features_reused"]) == (0, len(hostile.truth))
    after = (hostile.out / "predictions.csv").read_bytes(), (hostile.out / "unreadable.csv").read_bytes()
    assert after == before


@pytest.fixture(scope="module")
def by_folder(module, tmp_path_factory):
    """A run with a folder per class, some of it broken, and the files to label in the folder around it."""
    base = tmp_path_factory.mktemp("by-folder")
    photos = base / "photos"
    truth = write_flat(photos, 8, first=300)
    train = write_folder_per_class(photos / "train", 5)
    (train / "red" / "cut.png").write_bytes(picture("red")[:200])
    (train / "beside.png").write_bytes(picture("red"))
    (photos / "cut.png").write_bytes(picture("red")[:200])
    done = tfautolabel(
        *("run", "--labelled", train, photos, "--out", base / "new" / "out", "--backbone", f"hub:{module}"),
        *("--cache-dir", base / "cache", "--balanced", "--seed", "3", "--batch-size", "5"),
    )
    return done, base / "new" / "out", truth


def test_a_folder_per_class_labels_the_other_folder(by_folder):
    done, out, truth = by_folder
    assert done.returncode == 0, done.stderr
    labels = {row["id"]: row["label"] for row in rows(out / "predictions.csv")}
    assert labels == truth
    made = record(out)
    assert made["settings"]["class_weight"] == "balanced"
    assert (made["settings"]["seed"], made["settings"]["batch_size"]) == (3, 5)
    assert made["inputs"]["labels"] is None
    assert made["inputs"]["labelled"].endswith("photos/train")


def test_unreadable_files_of_both_folders_are_told_apart(by_folder):
    _, out, _ = by_folder
    assert {row["id"]: row["reason"] for row in rows(out / "unreadable.csv")} == {
        "cut.png": "truncated PNG",
        "train/red/cut.png": "truncated PNG",
        "train/beside.png": "directly in the folder, not in the folder of a class",
    }


def test_an_interrupted_run_keeps_what_it_computed(tmp_path):
    """Interrupted while the features are computed; the next run has them and ends well."""
    module = make_image_module(tmp_path / "module", size=640)
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    truth = write_flat(photos, 500)
    write_labels_file(tmp_path / "labels.csv", dict(list(truth.items())[:12]))
    arguments = (
        *("run", photos, "--labels", tmp_path / "labels.csv", "--out", tmp_path / "out"),
        *("--backbone", module, "--cache-dir", cache, "--batch-size", "4"),
    )
    process = start(*arguments)
    # The labelled ones come first, and reach the disk when all of them are computed.
    deadline = time.monotonic() + 120
    while not list(cache.rglob("*.index.npy")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert stderr.splitlines()[1:] == [
        "interrupted; features computed so far are kept, and the same command goes on from there"
    ]
    assert not list((tmp_path / "out").rglob("*")), "no half of a result"
    kept = sum(len(np.load(file)) for file in cache.rglob("*.index.npy"))
    assert 12 < kept < len(truth)

    for file in list(photos.iterdir()):
        if file.name not in sorted(truth)[: kept + 30]:
            file.unlink()
    done = tfautolabel(*arguments)
    assert done.returncode == 0, done.stderr
    counts = record(tmp_path / "out")["counts"]
    assert counts["features_reused"] >= kept
    assert counts["features_computed"] <= 30
