import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from hub_modules import make_image_module
from separable import write_flat

import tfautolabel as tal
from tfautolabel.jobs.labelled_copies import LabelledCopies
from tfautolabel.runs import RunSettings


def extraction(contents, unread=()):
    rows = np.array([row for row in range(len(contents)) if row not in unread], np.int64)
    return SimpleNamespace(contents=contents, rows=rows)


def labels_of_model(n):
    probabilities = np.tile([[0.6, 0.3, 0.1]], (n, 1))
    return tal.Labels.from_probabilities([f"{row}" for row in range(n)], probabilities, "abc", 0.8)


def test_copies_get_the_label_of_a_person_and_others_keep_theirs():
    copies = LabelledCopies(extraction(("x", "", "y", "z"), unread=[1]), np.array([2, 0, 1, -1]))
    before = labels_of_model(3)
    labels = copies.label(extraction(("y", "w", "", "x"), unread=[2]), before)
    assert labels.predicted.tolist() == ["b", "a", "c"]
    assert labels.class_ids.tolist() == [1, tal.ABSTAIN, 2]
    assert labels.origin.tolist() == ["human_copy", "model", "human_copy"]
    assert labels.reason.tolist() == ["", before.reason[1], ""]
    np.testing.assert_array_equal(labels.confidence, np.float32([1, before.confidence[1], 1]))
    np.testing.assert_array_equal(labels.probabilities[1], before.probabilities[1])
    said = []
    copies.tell(said.append)
    assert said == ["2 examples have the content of a labelled one and its label, not the model's"]


def test_where_persons_disagree_the_model_decides_and_it_is_said():
    copies = LabelledCopies(extraction(("x", "x", "y")), np.array([0, 1, 1]))
    labels = copies.label(extraction(("x", "w")), labels_of_model(2))
    assert labels.origin.tolist() == ["model", "model"]
    said = []
    copies.tell(said.append)
    assert len(said) == 1
    assert said[0].startswith("1 example with the content of labelled ones whose labels differ got")


def test_what_a_person_refused_stays_refused():
    copies = LabelledCopies(extraction(("x",)), np.array([1]))
    refused = labels_of_model(1).without({"0": "none_of_these"})
    assert copies.label(extraction(("x",)), refused) is refused


@pytest.mark.parametrize("labelled", [None, ("x",)])
def test_without_hashes_nothing_happens(labelled):
    copies = LabelledCopies(
        extraction(labelled) if labelled else SimpleNamespace(contents=None, rows=np.array([0])),
        np.array([1]),
    )
    before = labels_of_model(1)
    assert copies.label(SimpleNamespace(contents=None, rows=np.array([0])), before) is before


def test_a_run_gives_copies_their_label_and_draws_no_audit_from_them(tmp_path):
    make_image_module(tmp_path / "module")
    truth = write_flat(tmp_path / "pictures", 16)
    labelled = list(truth)[:30]
    wrong = labelled[0]
    given = {name: truth[name] for name in labelled} | {wrong: "red", labelled[1]: "green"}
    for number, name in enumerate((wrong, labelled[1])):
        shutil.copyfile(tmp_path / "pictures" / name, tmp_path / "pictures" / f"copy{number}.png")
    (tmp_path / "labels.csv").write_text(
        "path,label\n" + "".join(f"{name},{label}\n" for name, label in given.items())
    )
    said = []
    result = tal.run(
        tmp_path / "pictures", tmp_path / "out", labels=tmp_path / "labels.csv", say=said.append,
        settings=RunSettings(backbone=str(tmp_path / "module"), target_error=0.3),
        cache_dir=tmp_path / "cache", progress=False,
    )  # fmt: skip
    with (result.out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    for number, label in enumerate(("red", "green")):
        row = rows.pop(f"copy{number}.png")
        assert (row["label"], row["accepted"], row["origin"]) == (label, "true", "human_copy")
    assert {row["origin"] for row in rows.values()} == {"model"}
    assert result.record["counts"]["human_copies"] == 2
    assert any("2 examples have the content of a labelled one" in sentence for sentence in said)
    with (result.out / "audit.csv").open(encoding="utf-8", newline="") as stream:
        listed = [row["id"] for row in csv.DictReader(stream)]
    assert listed
    assert not [name for name in listed if name.startswith("copy")]
