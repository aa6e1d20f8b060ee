"""The ranking of sources as a command and from Python, with small networks in the place of packaged ones."""

import json
from dataclasses import replace

import numpy as np
import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module
from separable import write_folder_per_class

import tfautolabel as tal
from tfautolabel.backbones import packaged
from tfautolabel.jobs import rank as rank_module
from tfautolabel.jobs.rank import SourceScores, rank
from tfautolabel.measures.transferability import nearest_mean_accuracy, neighbour_accuracy
from tfautolabel.runs import RunSettings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rank")
    write_folder_per_class(folder / "photos", 8)
    return folder


@pytest.fixture(scope="module")
def modules(place):
    return [str(make_image_module(place / f"module{seed}", seed=seed)) for seed in (0, 1)]


@pytest.fixture(autouse=True)
def none_packaged(monkeypatch):
    monkeypatch.setattr(packaged, "PACKAGED", {})


def test_each_source_has_the_scores_of_its_features(place, modules):
    said = []
    found = rank(
        place / "photos", candidates=modules, cache_dir=place / "cache", progress=False, say=said.append
    )
    assert {one.handle for one in found.sources} == {*modules, "plain:pixels"}
    assert [one.nearest_mean for one in found.sources] == sorted(
        (one.nearest_mean for one in found.sources), reverse=True
    )
    assert (found.examples, len(found.classes)) == (24, 3)
    data = tal.load_dataset(place / "photos")
    for one in found.sources:
        values = tal.extract_features(
            data, tal.load_backbone(one.handle), cache_dir=place / "cache", progress=False
        ).features
        assert one.nearest_mean == nearest_mean_accuracy(values, data.class_ids)
        assert one.neighbours == neighbour_accuracy(values, data.class_ids)
        assert one.feature_dim == values.shape[1]
        assert one.milliseconds > 0
        assert 0 <= one.h_score <= 2
        assert one.nleep <= 0
        assert 0 <= one.accuracy <= 1
    assert found.choice in {one.handle for one in found.sources}


def test_the_command_shows_a_row_for_each_and_writes_json(place, modules):
    words = ["rank", place / "photos", "--candidates", modules[0], "--candidates", modules[1]]
    done = tfautolabel(*words, cache=place / "other")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["source", "mean", "3-nn", "head", "LogME", "H", "NLEEP", "d", "ms"]
    assert {line.split()[0] for line in lines[1:4]} == {*modules, "plain:pixels"}
    assert "on 24 labelled examples of 3 classes" in done.stdout
    again = tfautolabel(*words, "--json", "-q", cache=place / "other")
    told = json.loads(again.stdout)
    assert f"auto takes {told['choice']}: --backbone {told['choice']}" in done.stdout
    assert {one["handle"]: f"{one['nearest_mean']:.3f}" for one in told["sources"]} == {
        line.split()[0]: line.split()[1] for line in lines[1:4]
    }
    assert {one["milliseconds"] for one in told["sources"]} == {None}, "all of them are in the cache"
    assert again.stderr == ""


def test_a_backbone_of_the_user_that_cannot_be_loaded_is_an_error(place, modules):
    done = tfautolabel("rank", place / "photos", "--candidates", "hub:/nowhere", cache=place / "other")
    assert_one_sentence(done, "/nowhere")
    done = tfautolabel("rank", place / "photos", "--candidates", "plain:words", cache=place / "other")
    assert_one_sentence(done, "one for image data", "plain:words")
    assert_one_sentence(tfautolabel("rank", place / "photos", cache=place / "other"), "only plain:pixels")


def test_many_examples_are_sampled_and_it_is_said(place, modules, monkeypatch):
    monkeypatch.setattr(rank_module, "LIMIT", 18)
    said, settings = [], RunSettings(seed=3)
    how = {"candidates": modules[:1], "settings": settings, "cache_dir": place / "cache", "progress": False}
    found = rank(place / "photos", **how, say=said.append)
    assert found.examples == 18
    assert "18 of the labelled examples were drawn at random to rank by" in said
    again = rank(place / "photos", **how)
    timeless = [[replace(one, milliseconds=None) for one in table.sources] for table in (found, again)]
    assert timeless[0] == timeless[1]


def test_features_that_say_nothing_have_the_scores_that_exist():
    scores = rank_module._scores("x", np.ones((12, 3), np.float32), np.arange(12) % 2, 0, None)
    assert (scores.h_score, scores.nleep, scores.nearest_mean) == (None, None, 0.0)
    assert isinstance(scores, SourceScores)
