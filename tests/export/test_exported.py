import os
import shutil

import numpy as np
import pytest
from separable import CLASSES, NAMES, picture

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.export import exported as exported_module
from tfautolabel.export import load_exported
from tfautolabel.labels import Unreadable


@pytest.fixture(scope="module")
def loaded(exported):
    return load_exported(exported.parent)


@pytest.mark.parametrize("fails", [False, True])
def test_a_model_that_is_replaced_while_it_is_loaded_is_loaded_again(tmp_path, monkeypatch, fails):
    version, calls = tmp_path / "1", []
    version.mkdir()

    def load(folder):
        calls.append(folder)
        if len(calls) == 1:
            with atomic_folder(version):
                pass
            if fails:
                raise ValueError("half of one and half of the other")
        return "loaded"

    monkeypatch.setattr(exported_module, "_load", load)
    assert load_exported(tmp_path) == "loaded"
    assert calls == [version, version]


def test_a_model_that_cannot_be_loaded_is_not_tried_again(tmp_path, monkeypatch):
    calls = []

    def load(folder):
        calls.append(folder)
        raise ValueError("it is damaged")

    monkeypatch.setattr(exported_module, "_load", load)
    with pytest.raises(ValueError, match="it is damaged"):
        load_exported(tmp_path)
    assert len(calls) == 1


@pytest.fixture
def files(tmp_path):
    """Twelve good files, of which the names tell the class, and four that cannot be read."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02d}.png").write_bytes(picture(CLASSES[number % 3], 80 + number))
    (folder / "03-empty.png").touch()
    (folder / "05-text.jpg").write_text("hello")
    (folder / "07-cut.png").write_bytes(picture("red")[:300])
    (folder / "09-gone.png").write_bytes(picture("red"))
    dataset = load_dataset(folder)
    (folder / "09-gone.png").unlink()
    return dataset


def test_the_highest_version_is_taken(exported, tmp_path):
    for name in ("2", "10", "9"):
        shutil.copytree(exported, tmp_path / "m" / name)
    (tmp_path / "m" / "latest").mkdir()
    assert load_exported(tmp_path / "m").folder == tmp_path / "m" / "10"
    assert load_exported(os.fspath(tmp_path / "m" / "2")).folder == tmp_path / "m" / "2"


def test_it_knows_what_it_is(loaded):
    assert loaded.classes == NAMES
    assert loaded.modality == "image"
    assert loaded.min_confidence == 0.7
    assert loaded.description["note"] == "ours"


def test_predict_gives_zeros_where_nothing_can_be_read(loaded, labeler):
    inputs = [picture("blue"), b"broken", picture("red")]
    probabilities = loaded.predict(inputs)
    np.testing.assert_allclose(probabilities[[0, 2]], labeler.predict([inputs[0], inputs[2]]), atol=1e-4)
    assert not probabilities[1].any()
    assert loaded.predict([b"", b"x"]).shape == (2, 3)
    assert loaded.predict([]).shape == (0, 3)


@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_label_gives_what_the_labeler_gives(loaded, labeler, files, batch_size):
    labels = loaded.label(files, batch_size=batch_size, progress=False)
    expected = labeler.label(files)
    assert labels.ids.tolist() == expected.ids.tolist() == [f"{number:02d}.png" for number in range(12)]
    assert labels.predicted.tolist() == [NAMES[number % 3] for number in range(12)]
    np.testing.assert_allclose(labels.probabilities, expected.probabilities, atol=1e-4)
    np.testing.assert_array_equal(labels.class_ids, expected.class_ids)
    assert (
        labels.unreadable
        == expected.unreadable
        == (
            Unreadable("03-empty.png", "empty file"),
            Unreadable("05-text.jpg", "not a picture: text; valid are JPEG, PNG, GIF, BMP and WebP"),
            Unreadable("07-cut.png", "truncated PNG"),
            Unreadable("09-gone.png", "the file has gone since it was listed"),
        )
    )


def test_the_bound_can_be_another(loaded, files):
    labels = loaded.label(files, min_confidence=0.0)
    assert labels.accepted.all()
    bound = float(np.sort(labels.confidence)[6])
    assert loaded.label(files, min_confidence=bound).accepted.sum() == 6
    for bad in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="min_confidence must lie in"):
            loaded.label(files, min_confidence=bad)
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        loaded.label(files, batch_size=0)


def test_an_empty_data_set_gives_no_labels(loaded):
    assert len(loaded.label(Dataset.from_inputs([]))) == 0


def test_evaluate_measures_what_can_be_read_and_says_what_cannot(loaded, files):
    truth = [NAMES[int(name[:2]) % 3] for name in files.ids]
    truth[0] = NAMES[1]
    with pytest.warns(UserWarning, match=r"4 of 16 labelled examples .* 03-empty\.png: empty file"):
        evaluation = loaded.evaluate(files.with_labels(truth))
    assert evaluation.count == 12
    assert evaluation.accuracy == pytest.approx(11 / 12)
    assert evaluation.confusion[1].tolist() == [1, 4, 0]
    some = [label if row in (0, 1) else None for row, label in enumerate(truth)]
    assert loaded.evaluate(files.with_labels(some)).count == 2


def test_evaluate_refuses_unknown_classes_and_nothing(loaded, files):
    with pytest.raises(ValueError, match="Received: 'wolf'"):
        loaded.evaluate(files.with_labels(["wolf"] * 16))
    with pytest.raises(ValueError, match="there must be a labelled example that can be read"):
        loaded.evaluate(files)
