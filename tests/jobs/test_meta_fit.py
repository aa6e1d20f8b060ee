"""`meta-fit` and `run --meta-learner`: what is learnt from earlier sets reaches the model and the record."""

import json

import numpy as np
import pytest
from command import assert_one_sentence, tfautolabel
from separable import write_flat, write_folder_per_class

import tfautolabel as tal
from tfautolabel.jobs.meta_fit import meta_fit
from tfautolabel.runs.settings import RunSettings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meta")
    write_folder_per_class(folder / "earlier", 6, first=500)
    write_folder_per_class(folder / "labelled", 5)
    write_flat(folder / "photos", 4, first=100)
    meta_fit([folder / "earlier"], folder / "meta", backbone="plain:pixels", progress=False)
    return folder


def run_with(place, out, **settings):
    return tal.run(
        place / "photos",
        out,
        labelled=place / "labelled",
        settings=RunSettings(meta_learner=str(place / "meta"), **settings),
        progress=False,
    )


@pytest.fixture(scope="module")
def result(place):
    return run_with(place, place / "out")


def test_the_run_takes_its_backbone_and_says_what_it_was_worth(place, result):
    record = json.loads((place / "out" / "run.json").read_text("utf-8"))
    assert record["backbone"]["handle"] == "plain:pixels"
    assert record["transfer"]["meta"]["why"].startswith("what earlier tasks taught")
    described = json.loads((result.model / "labeler.json").read_text("utf-8"))
    assert described["head"] == "meta_auto_head"
    assert record["transfer"]["pool"]["level"] == "linear"


def test_another_map_in_the_same_folder_makes_another_run(place, result, tmp_path):
    head = tal.Labeler("plain:pixels", ("a", "b"), meta_learner=place / "meta").head
    first = head.map_digest()
    head.use_map(np.eye(768, dtype=np.float32), 1.0)
    assert head.map_digest() != first
    assert result.record["settings"]["meta_learner"] == str(place / "meta")


def test_what_does_not_go_together_is_refused(place, tmp_path):
    with pytest.raises(ValueError, match="--tune"):
        run_with(place, tmp_path / "out", tune=True)
    with pytest.raises(ValueError, match="without labels"):
        meta_fit([place / "photos"], tmp_path / "meta", backbone="plain:pixels", progress=False)
    with pytest.raises(FileExistsError, match="holds"):
        meta_fit([place / "earlier"], place / "photos", backbone="plain:pixels", progress=False)


def test_the_command_learns_and_refuses_in_one_sentence(place, tmp_path):
    words = ["meta-fit", place / "earlier", place / "labelled", "--backbone", "plain:pixels"]
    done = tfautolabel(*words, "--out", tmp_path / "meta")
    assert (done.returncode, "learnt from 33 examples of 2 sets" in done.stdout) == (0, True), done.stderr
    assert (tmp_path / "meta" / "meta_learner.json").is_file()
    assert_one_sentence(tfautolabel(*words, "--out", tmp_path / "meta", "--method", "magic"), "whitening")
