import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import tfautolabel.data
from tfautolabel.data import ReadFailure, Unreadable, load_dataset
from tfautolabel.labels import ABSTAIN


@pytest.fixture
def photos(tmp_path):
    return tmp_path / "photos"


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def labels_of(dataset):
    return {
        name: dataset.classes[class_id]
        for name, class_id in zip(dataset.ids, dataset.class_ids, strict=True)
        if class_id != ABSTAIN
    }


def test_a_flat_folder_is_unlabelled(photos):
    write(photos, "b.jpg", "a.jpg")
    dataset = load_dataset(photos)
    assert dataset.ids.tolist() == ["a.jpg", "b.jpg"]
    assert dataset.classes == ()
    assert dataset.read([0, 1]) == [b"a.jpg", b"b.jpg"]
    assert dataset.modality == "text"


def test_auto_takes_a_folder_per_class(photos):
    write(photos, "dog/1", "cat/x/2", "cat/3")
    dataset = load_dataset(os.fspath(photos))
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset) == {"cat/3": "cat", "cat/x/2": "cat", "dog/1": "dog"}


@pytest.mark.parametrize("names", [("cat/1", "dog/2", "3"), ("cat/1", "cat/deep/2")])
def test_auto_does_not_guess(photos, names):
    write(photos, *names)
    assert load_dataset(photos).classes == ()


def test_auto_is_not_misled_by_hidden_files(photos):
    write(photos, "cat/1", "dog/2", ".DS_Store", "Thumbs.db")
    assert load_dataset(photos).classes == ("cat", "dog")


def test_none_ignores_the_folders(photos):
    write(photos, "cat/1", "dog/2")
    assert load_dataset(photos, None).classes == ()


def test_folder_sets_files_beside_the_classes_aside(photos):
    write(photos, "about.txt", "cat/1", "readme.txt")
    (photos / "a.jpg").symlink_to("nowhere")
    dataset = load_dataset(photos, "folder")
    assert labels_of(dataset) == {"cat/1": "cat"}
    assert dataset.read([0]) == [b"cat/1"]
    assert dataset.unreadable == (
        Unreadable("a.jpg", "a broken link"),
        Unreadable("about.txt", "directly in the folder, not in the folder of a class"),
        Unreadable("readme.txt", "directly in the folder, not in the folder of a class"),
    )


def test_folder_needs_folders(photos):
    write(photos, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match=r"needs a folder of files for each class.*photos', 2 files in it"):
        load_dataset(photos, "folder")


@pytest.mark.parametrize("inside", [True, False])
def test_a_labels_file(photos, tmp_path, inside):
    write(photos, "x/a.jpg", "y/b.jpg", "y/c.jpg")
    labels = (photos if inside else tmp_path) / "labels.csv"
    labels.write_text("path,label\ny/b.jpg,dog\nx/a.jpg,cat\ny/c.jpg,\n")
    dataset = load_dataset(photos, labels)
    assert dataset.ids.tolist() == ["x/a.jpg", "y/b.jpg", "y/c.jpg"]
    assert labels_of(dataset) == {"x/a.jpg": "cat", "y/b.jpg": "dog"}
    assert dataset.unlabelled.ids.tolist() == ["y/c.jpg"]


def test_a_mapping(photos):
    write(photos, "a.jpg", "b.jpg")
    assert labels_of(load_dataset(photos, {"b.jpg": "cat", "a.jpg": None})) == {"b.jpg": "cat"}


def test_a_file_called_auto_can_be_given_as_a_path(photos, tmp_path, monkeypatch):
    write(photos, "a.jpg")
    monkeypatch.chdir(tmp_path)
    Path("auto").write_text("path,label\na.jpg,cat\n")
    assert load_dataset(photos, Path("auto")).classes == ("cat",)
    assert load_dataset(photos, "auto").classes == ()


def test_warnings_point_at_the_caller(photos):
    write(photos, "a.jpg")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_dataset(photos, {"a.jpg": "cat", "gone.jpg": "dog"})
    assert [warning.filename for warning in caught] == [__file__]
    assert "labels: ignored 1 label for files that were not found" in str(caught[0].message)


def test_one_class_and_single_examples_are_left_to_fit(photos):
    write(photos, "a.jpg", "b.jpg")
    assert load_dataset(photos, {"a.jpg": "cat"}).classes == ("cat",)


def test_exclude(photos):
    write(photos, "a.jpg", "out/b.jpg", "labels.csv")
    assert load_dataset(photos, exclude=[photos / "out", photos / "labels.csv"]).ids.tolist() == ["a.jpg"]
    with pytest.raises(TypeError, match="exclude must be a list of paths"):
        load_dataset(photos, exclude="out")


def test_a_path_that_is_not_there(photos):
    with pytest.raises(FileNotFoundError, match=r"^there is no folder or file '.*photos'$"):
        load_dataset(photos)


def test_a_labels_file_that_is_not_there(photos):
    write(photos, "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"there is no labels file 'labls.csv'"):
        load_dataset(photos, "labls.csv")


def test_a_path_to_a_file(photos):
    write(photos, "a.jpg")
    with pytest.raises(
        ValueError, match=r"a\.jpg: data is a folder, or a table that ends in .*\. Received: none of these"
    ):
        load_dataset(photos / "a.jpg")


@pytest.mark.parametrize("labels", ["auto", None, {"a.jpg": "cat"}])
def test_an_empty_folder(photos, labels):
    write(photos, ".hidden")
    with pytest.raises(ValueError, match=r"must hold files. Received: path='.*photos', 0 files in it$"):
        load_dataset(photos, labels)
    (photos / "a.jpg").symlink_to("nowhere")
    with pytest.raises(ValueError, match=r"0 files in it and 1 set aside, the first 'a.jpg': a broken link"):
        load_dataset(photos, labels)


def test_an_unknown_modality(photos):
    write(photos, "a.jpg")
    with pytest.raises(ValueError, match=r"modality must be one of"):
        load_dataset(photos, modality="smell")


def test_reading_goes_on_after_a_file_is_gone(photos):
    write(photos, *(f"{number}.jpg" for number in range(10)))
    dataset = load_dataset(photos)
    (photos / "3.jpg").unlink()
    values = dataset.read(range(10))
    assert isinstance(values[3], ReadFailure)
    assert [value for row, value in enumerate(values) if row != 3] == [
        f"{number}.jpg".encode() for number in range(10) if number != 3
    ]


def test_the_public_names_are_those_listed():
    public = {name for name in vars(tfautolabel.data) if not name.startswith("_")}
    modules = {name for name in public if isinstance(vars(tfautolabel.data)[name], type(os))}
    assert public - modules == set(tfautolabel.data.__all__)


def test_the_package_brings_in_neither_tensorflow_nor_pyarrow():
    code = "import sys, tfautolabel.data; sys.exit(len({'tensorflow', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
