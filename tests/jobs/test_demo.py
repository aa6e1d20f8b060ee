import csv
import json

import pytest
from command import assert_one_sentence, tfautolabel
from separable import picture

from tfautolabel._cache import cache_dir


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
    with open(out / "labels.csv", encoding="utf-8") as file:
        labels = {row["id"]: row["label"] for row in csv.DictReader(file)}
    assert len(labels) == 162
    assert not labels.keys() & given.keys()
    counts = json.loads((out / "run.json").read_text())["counts"]
    assert (counts["labelled"], counts["to_label"], counts["rejected"]) == (30, 162, 0)
    words = next(line for line in done.stdout.splitlines() if line.startswith("truth ")).split()
    assert words[2:4] == ["of", "162"]
    assert int(words[1]) / 162 >= 0.95
    assert f"tfautolabel label {out / 'model' / '1'}" in done.stdout


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
