import csv
import json

import pytest
from command import assert_one_sentence, tfautolabel
from separable import picture

from tfautolabel._cache import cache_dir
from tfautolabel.jobs.demo import _write_labels, _write_tiles


@pytest.mark.packaged
def test_the_demo_labels_real_photographs(tmp_path):
    """With the user's cache, in which the weights and photos are, or will be."""
    done = tfautolabel("demo", "--out", tmp_path / "demo", cache=cache_dir())
    assert done.returncode == 0, done.stderr
    out, photos = tmp_path / "demo" / "out", tmp_path / "demo" / "photos"
    assert len(list(photos.iterdir())) == 192
    with open(tmp_path / "demo" / "labels.csv", encoding="utf-8") as file:
        given = {row["path"]: row["label"] for row in csv.DictReader(file)}
    assert sorted(given.values()) == ["brick"] * 10 + ["grass"] * 10 + ["gravel"] * 10
    with open(out / "predictions.csv", encoding="utf-8") as file:
        labels = {row["id"]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 162
    assert not labels.keys() & given.keys()
    counts = json.loads((out / "run.json").read_text())["counts"]
    assert (counts["labelled"], counts["to_label"], counts["unreadable"]) == (30, 162, 0)
    words = next(line for line in done.stdout.splitlines() if line.startswith("truth ")).split()
    assert words[2:4] == ["of", "162"]
    assert int(words[1]) / 162 >= 0.95
    assert f"tfautolabel label {out / 'model' / '1'}" in done.stdout


@pytest.mark.packaged
def test_an_audit_certifies_real_photographs(tmp_path):
    """The whole way: a target, the list, its answers by the truth, the certificate, and what it promises."""
    out, photos, labels = tmp_path / "out", tmp_path / "photos", tmp_path / "labels.csv"
    truth = _write_tiles(photos)
    _write_labels(labels, truth, 0)
    done = tfautolabel(
        "run",
        photos,
        "--labels",
        labels,
        "--out",
        out,
        "--target-error",
        "0.05",
        cache=cache_dir(),
    )
    assert done.returncode == 0, done.stderr
    assert f"tfautolabel audit {out} --audited" in done.stdout
    with open(out / "audit.csv", encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    for row in listed:
        row["correct"] = "yes" if row["label"] == truth[row["id"]] else "no"
    with open(out / "audit.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, listed[0])
        writer.writeheader()
        writer.writerows(listed)
    audited = tfautolabel("audit", out, "--audited", out / "audit.csv", cache=cache_dir())
    assert audited.returncode == 0, audited.stderr
    assert "with 95 % confidence at most 5 % of them are wrong" in audited.stdout
    assert json.loads((out / "run.json").read_text())["certificate"]["kind"] == "certified"
    with open(out / "predictions.csv", encoding="utf-8", newline="") as file:
        accepted = [row for row in csv.DictReader(file) if row["accepted"] == "true"]
    assert len(accepted) > 100
    assert sum(row["label"] != truth[row["id"]] for row in accepted) <= 0.05 * len(accepted)


def test_offline_with_an_empty_cache_the_demo_says_what_to_fetch(tmp_path):
    done = tfautolabel("demo", "--out", tmp_path / "demo", "-q", cache=tmp_path, TFAUTOLABEL_OFFLINE="1")
    assert_one_sentence(done, "TFAUTOLABEL_OFFLINE", "scikit_image")


@pytest.mark.packaged
def test_the_demo_does_not_mix_its_tiles_with_somebodys_photos(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.png").write_bytes(picture("red"))
    done = tfautolabel("demo", "--out", tmp_path, "-q", cache=cache_dir())
    assert_one_sentence(done, "a folder of its own", "mine.png")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["mine.png"]


def test_a_file_is_no_place_for_the_demo(tmp_path):
    (tmp_path / "file").touch()
    assert_one_sentence(tfautolabel("demo", "--out", tmp_path / "file", "-q"), "which is a file")
