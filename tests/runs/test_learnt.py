import hashlib
import json
import shutil

import numpy as np
import pytest

from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.learnt import rows_to_measure
from tfautolabel.data.made_readable import reads_alike
from tfautolabel.runs.files import LEARNT
from tfautolabel.runs.learnt import learnt_by, write_learnt


def texts(*words):
    return Dataset.from_inputs(list(words))


def test_contents_count_and_names_do_not():
    learnt = Learnt.of(texts("a", "b"))
    assert learnt.among(texts("b", "c", "a", "b")).tolist() == [True, False, True, True]
    assert Learnt.of(texts("b", "a", "a")) == learnt
    assert not Learnt().among(texts("a")).any()


def test_what_was_learnt_from_is_left_out_unless_it_is_all():
    assert rows_to_measure(np.array([False, False])).all()
    with pytest.warns(UserWarning, match="1 of 2 examples were learnt from and are left out"):
        assert rows_to_measure(np.array([True, False])).tolist() == [False, True]
    with pytest.warns(UserWarning, match="all 2 examples were learnt from: what is measured is no accuracy"):
        assert rows_to_measure(np.array([True, True])).all()


@pytest.fixture
def model(tmp_path):
    version = tmp_path / "out" / "model" / "1"
    version.mkdir(parents=True)
    write_learnt(Learnt.of(texts("a", "b")), "d" * 64, tmp_path / "out")
    return version


def test_a_model_in_its_run_is_known_and_elsewhere_not(model, tmp_path, monkeypatch):
    assert learnt_by(model) == Learnt.of(texts("a", "b"))
    monkeypatch.chdir(model)
    assert learnt_by(".") == Learnt.of(texts("a", "b"))
    shutil.copytree(model.parent, tmp_path / "other" / "model")
    assert learnt_by(tmp_path / "other" / "model" / "1") is None
    shutil.copytree(model, tmp_path / "out" / "models" / "1")
    assert learnt_by(tmp_path / "out" / "models" / "1") is None


@pytest.mark.parametrize("damage", ["", "d\n", "d\nno hash\n", "\xff", "d\n" + "a" * 63])
def test_a_damaged_file_says_nothing(model, damage):
    (model.parents[1] / LEARNT).write_text(damage, encoding="latin-1")
    known = learnt_by(model)
    assert known is None or known == Learnt()
    assert known is None or damage == "d\n"


def test_the_file_of_another_run_says_nothing(model):
    out = model.parents[1]
    entries = {name: {} for name in ("id", "files", "versions", "settings", "backbone", "cross_validation")}
    record = {"format_version": 2, "counts": {"classes": {}}, **entries}
    for digest, known in (("d" * 64, True), ("e" * 64, False)):
        record["inputs"] = {"labelled_contents_sha256": digest}
        (out / "run.json").write_text(json.dumps(record))
        assert (learnt_by(model) is not None) == known


def test_contents_that_are_known_are_not_read_again(monkeypatch):
    dataset = texts("a", "b")
    contents = [hashlib.sha256(value).hexdigest() for value in (b"a", b"b")]
    plain = Learnt.of(dataset)
    monkeypatch.setattr(Dataset, "read", lambda *_: pytest.fail("read again"))
    assert Learnt.of(dataset, contents) == plain
    assert Learnt.of(dataset, [contents[0], ""]).among(dataset, contents).tolist() == [True, False]
    with pytest.raises(ValueError, match="must be of 2 examples"):
        Learnt.of(dataset, contents[:1])


@pytest.mark.parametrize(
    ("modality", "rate", "alike"),
    [
        ("text", None, True),
        ("image", None, True),
        ("audio", 16_000, True),
        ("audio", 22_050, False),
        ("audio", None, True),
    ],
)
def test_sound_for_a_backbone_of_a_higher_rate_is_read_in_another_way(modality, rate, alike):
    assert reads_alike(modality, rate) == alike
