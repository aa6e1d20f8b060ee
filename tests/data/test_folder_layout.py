import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import PICTURES

from tfautolabel.data import load_dataset
from tfautolabel.data.folder_layout import find_classes, find_media
from tfautolabel.labels import ABSTAIN

PICTURE = PICTURES["png-grey"]()


def make(root, *names):
    """Files with the content that their endings promise."""
    from clips import wav

    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sound = name.endswith(".wav")
        path.write_bytes(wav() if sound else PICTURE if name.endswith((".png", ".jpg")) else b"some words")


def labels_of(dataset):
    return {
        name: None if c == ABSTAIN else dataset.classes[c]
        for name, c in zip(dataset.ids.tolist(), dataset.class_ids.tolist(), strict=True)
    }


CLASSES = ["cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"]


@pytest.mark.parametrize("how", ["auto", "folder"])
@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "Validation"),
        ("train", "valid"),
        ("dev", "eval"),
        ("TRAIN", "TEST", "holdout"),
        ("train",),
        ("train_set", "val_set", "Test-Set"),
        ("Training Data", "Testing Data"),
        ("01_train", "02_val"),
        ("Trainingsdaten", "Testdaten"),
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("fold1", "fold2", "fold10"),
        ("trn", "tst"),
        ("entrenamiento", "validaci\u00f3n", "prueba"),
        ("entrenamiento", "validacio\u0301n"),
        ("treino", "teste"),
        ("apprentissage", "validation"),
        ("tr\u00e9nink", "test"),
        ("e\u011fitim", "do\u011frulama"),
        ("zbior_treningowy", "zbior_testowy"),
        ("train-clean-100", "dev-clean", "test-other"),
        ("20news-bydate-train", "20news-bydate-test"),
        ("Big Set 2 train", "Big Set 2 test"),
        ("обучение", "тест"),
        ("训练集", "验证集", "测试集"),
        ("学習", "検証", "テスト"),
    ],
)
def test_parts_of_a_data_set_are_no_classes(tmp_path, how, names):
    make(tmp_path, *(f"{part}/{name}" for part in names for name in CLASSES))
    dataset = load_dataset(tmp_path, how)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset.labelled) == 4 * len(names)
    assert any("are taken for parts of one data set" in note for note in dataset.notes)


@pytest.mark.parametrize("how", ["auto", "folder"])
@pytest.mark.parametrize("around", ["dataset", "archive/images", "data/train"])
def test_folders_around_the_classes_are_passed_through(tmp_path, how, around):
    make(tmp_path, *(f"{around}/{name}" for name in CLASSES), f"{around}/README.md")
    dataset = load_dataset(tmp_path, how)
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset)[f"{around}/cat/1.png"] == "cat"
    assert any("is passed through" in note or "parts of one" in note for note in dataset.notes)


def test_a_part_without_classes_is_what_there_is_to_label(tmp_path):
    make(tmp_path, *(f"train/{name}" for name in CLASSES), "test/5.png", "test/6.png")
    labels = labels_of(load_dataset(tmp_path))
    assert labels["test/5.png"] is None
    assert labels["train/cat/1.png"] == "cat"
    assert [item.id for item in load_dataset(tmp_path, "folder").unreadable] == ["test/5.png", "test/6.png"]


@pytest.mark.parametrize("name", ["predict", "unlabelled", "pool", "unlabeled_data"])
def test_a_part_whose_name_says_that_it_has_no_labels(tmp_path, name):
    make(tmp_path, *(f"train/{name}" for name in CLASSES), f"{name}/5.png", f"{name}/6.png")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset)[f"{name}/5.png"] is None


@pytest.mark.parametrize("more", ["samples/7.png", "docs/cat/7.png", "unlabelled/cat/7.png"])
def test_what_lies_beside_parts_has_no_label(tmp_path, more):
    make(tmp_path, *(f"{part}/{name}" for part in ("train", "test") for name in CLASSES), more)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset)[more] is None


def test_labelled_and_unlabelled_are_parts(tmp_path):
    make(tmp_path, *(f"labelled/{name}" for name in CLASSES), "unlabelled/5.png")
    assert load_dataset(tmp_path).classes == ("cat", "dog")


def test_each_part_in_a_folder_of_its_own_name(tmp_path):
    make(tmp_path, *(f"{part}/{part}/{name}" for part in ("training_set", "test_set") for name in CLASSES))
    assert load_dataset(tmp_path).classes == ("cat", "dog")


def test_a_folder_around_the_classes_of_each_part(tmp_path):
    make(tmp_path, *(f"{part}/images/{name}" for part in ("train", "test") for name in CLASSES))
    assert load_dataset(tmp_path).classes == ("cat", "dog")


@pytest.mark.parametrize(
    "names",
    [
        ("steam_train", "bullet_train"),
        ("test1", "test2"),
        ("test", "control"),
        ("old steam train", "new bullet train"),
    ],
)
def test_classes_with_the_words_of_parts_in_them(tmp_path, names):
    make(tmp_path, *(f"{name}/{n}/{n}.png" for name in names for n in range(2)))
    assert load_dataset(tmp_path).classes == tuple(sorted(names))


def test_classes_that_are_called_as_parts(tmp_path):
    make(tmp_path, "train/1.png", "car/2.png", "bus/3.png")
    assert load_dataset(tmp_path).classes == ("bus", "car", "train")
    make(tmp_path / "two", "train/1.png", "test/2.png")
    assert load_dataset(tmp_path / "two").classes == ()
    with pytest.raises(ValueError, match=r"\['test', 'train'\] are called as the parts of a data set"):
        load_dataset(tmp_path / "two", "folder")


@pytest.mark.parametrize(
    "beside", ["json", "xml", "txt", "csv", "TextGrid", "npy", "AAE", "thm", "f0", "xyz"]
)
@pytest.mark.parametrize("medium", ["png", "wav"])
def test_what_lies_beside_media_is_set_aside(tmp_path, beside, medium):
    make(tmp_path, *(f"{n}.{medium}" for n in range(5)), *(f"{n}.{beside}" for n in range(5)))
    dataset = load_dataset(tmp_path, {f"{n}.{medium}": "ab"[n % 2] for n in range(4)})
    assert dataset.modality == ("image" if medium == "png" else "audio")
    assert len(dataset) == 5
    assert len(dataset.unreadable) == 5
    assert all("beside" in item.reason for item in dataset.unreadable)
    assert any(f"'0.{beside}'" in note and "set aside" in note for note in dataset.notes)


@pytest.mark.parametrize("behind", [".png.txt", "_caption.txt", "-mask.txt", ".labels.txt", " (copy).txt"])
def test_names_with_more_behind_belong_to_the_media(tmp_path, behind):
    make(
        tmp_path, *(f"{n}.png" for n in range(5)), *(f"{n}{b}" for n in range(5) for b in (behind, ".1.txt"))
    )
    dataset = load_dataset(tmp_path)
    assert (dataset.modality, len(dataset), len(dataset.unreadable)) == ("image", 5, 10)


def test_pictures_without_endings_have_sidecars_too(tmp_path):
    make(tmp_path, *(f"{n}.png" for n in range(4)), *(f"scan{n}.json" for n in range(4)), "README.md")
    for n in range(4):
        (tmp_path / f"{n}.png").rename(tmp_path / f"scan{n}")
    dataset = load_dataset(tmp_path, modality="image")
    assert dataset.ids.tolist() == [f"scan{n}" for n in range(4)]
    assert len(dataset.unreadable) == 5


def test_many_sidecars_in_a_folder_of_their_own(tmp_path):
    make(tmp_path, *(f"images/{c}/{n}.png" for c in "ab" for n in range(3)))
    make(tmp_path, *(f"annotations/{kind}/{n}.xml" for kind in "xyz" for n in range(9)), "labels.csv")
    dataset = load_dataset(tmp_path)
    assert (dataset.modality, dataset.classes, len(dataset)) == ("image", ("a", "b"), 6)


def test_a_few_pictures_among_many_texts_are_not_what_is_meant(tmp_path):
    make(tmp_path, *(f"{n}.txt" for n in range(30)), "figure.png", "notes.md")
    dataset = load_dataset(tmp_path)
    assert (dataset.modality, len(dataset)) == ("text", 32)


@pytest.mark.parametrize(
    "name",
    ["README.txt", "readme", "LICENSE", "LICENCE.md", "CITATION.cff", "labels.csv", "SHA256SUMS",
     "Readme.rtf", "LIESMICH.txt", "Lisez-moi.txt", "images.zip", "4.jpg.part", "notes.txt~"],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["png", "txt"])
def test_documents_beside_classes(tmp_path, name, ending):
    make(tmp_path, f"cat/1.{ending}", f"dog/2.{ending}", f"dog/3.{ending}", name)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset).keys() == {f"cat/1.{ending}", f"dog/2.{ending}", f"dog/3.{ending}"}
    assert [item.id for item in dataset.unreadable] == [name]


def test_why_there_are_no_classes_is_said(tmp_path):
    make(tmp_path, *CLASSES, "5.png")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ()
    assert any(
        "folders are not taken for classes" in note and "labels='folder'" in note for note in dataset.notes
    )


@pytest.mark.parametrize(
    "system",
    ["@eaDir", "__MACOSX", "#recycle", "$RECYCLE.BIN", ".thumbnails", ".@__thumb", "@__thumb", "Thumbnails"],
)
def test_thumbnails_and_what_was_deleted_are_left_out(tmp_path, system):
    make(tmp_path, *CLASSES, f"cat/{system}/1.png/small.png", f"{system}/x.png")
    dataset = load_dataset(tmp_path)
    assert dataset.ids.tolist() == CLASSES
    assert system.startswith(".") or any(repr(system) in note for note in dataset.notes)


def test_thumbnails_are_read_where_there_is_nothing_else(tmp_path):
    names = [f"thumbnails/{name}" for name in CLASSES]
    make(tmp_path, *names)
    assert load_dataset(tmp_path).ids.tolist() == names


def test_a_flat_part_beside_parts_with_classes_has_no_label(tmp_path):
    make(tmp_path, *(f"train/{name}" for name in CLASSES), "val/images/8.png", "val/images/9.png")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert [labels_of(dataset)[f"val/images/{n}.png"] for n in (8, 9)] == [None, None]
    assert any("the files of val lie in no class folder" in note for note in dataset.notes)


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\noid 0\n", b"<!DOCTYPE html><html></html>"],
)
def test_what_was_saved_in_place_of_pictures_is_no_text(tmp_path, content):
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    assert load_dataset(tmp_path).modality == "image"


@pytest.mark.parametrize(
    ("names", "count"),
    [
        (["cat/1.png", "cat/1_mask.png", "dog/2.png", "dog/2_mask_1.png", "dog/2_mask_2.png"], 3),
        (["images/1.png", "images/2.png", "masks/1.png", "masks/2.png"], 2),
        (["cat/1.png", "cat/1-segmentation.png", "dog/2 (1).png", "dog/2 (1)_GT.png"], 2),
        (["gas/mask_1.png", "gas/mask_2.png", "gas mask/3.png", "gas mask/4.png"], 0),
        (["face_mask/1.png", "face_mask/2.png", "no_mask/1.png", "no_mask/2.png"], 0),
    ],
)
def test_masks_are_examples_and_said(tmp_path, names, count):
    make(tmp_path, *names)
    dataset = load_dataset(tmp_path)
    assert len(dataset) == len(names)
    said = [note for note in dataset.notes if "named as masks of other pictures" in note]
    assert len(said) == bool(count)
    assert all(f": {count} files" in note for note in said)


def test_sounds_among_pictures_are_said(tmp_path):
    make(tmp_path, *CLASSES, "cat/8.wav", "dog/9.wav")
    (note,) = [note for note in load_dataset(tmp_path).notes if "names of sound clips" in note]
    assert "2 of these" in note
    assert "--modality audio" in note


def test_outer_folders_that_hold_the_same_folders_are_said(tmp_path):
    make(tmp_path, *(f"{year}/{name}" for year in (2021, 2022) for name in CLASSES))
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("2021", "2022")
    assert any("if these are the classes, give one outer folder" in note for note in dataset.notes)


def test_links_are_followed_if_asked(tmp_path):
    make(tmp_path / "blobs", "x.png", "deep/y.png")
    hub = tmp_path / "hub"
    (hub / "cat").mkdir(parents=True)
    (hub / "dog").mkdir()
    (hub / "cat" / "1.png").symlink_to("../../blobs/x.png")
    (hub / "dog" / "all").symlink_to("../../blobs/deep")
    (hub / "dog" / "loop").symlink_to("..")
    (hub / "dog" / "again").symlink_to("../../blobs/deep")
    with pytest.raises(ValueError, match=r"--follow-links\) reads"):
        load_dataset(hub)
    dataset = load_dataset(hub, follow_links=True)
    assert dataset.classes == ("cat", "dog")
    assert len(dataset) == 2
    assert dataset.read([0, 1]) == [PICTURE] * 2
    make(hub, "cow/2.png")
    some = load_dataset(hub, None)
    assert len(some) == 1
    assert any("3 links lead out" in note and "--follow-links" in note for note in some.notes)
    assert os.path.islink(hub / "cat" / "1.png")


parts = st.sampled_from(["train", "val", "cat", "dog", "README.md", "1.png", "2.png", "3.txt", "data"])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.lists(parts, min_size=1, max_size=4).map("/".join), min_size=1, max_size=12, unique=True))
def test_any_tree_is_understood_or_not(ids):
    media = find_media(ids)
    assert set(media.rows).isdisjoint(media.beside)
    found = find_classes(ids)
    if found is not None:
        assert len(found.labels) == len(ids)
        named = [
            (path.split("/")[found.level], label)
            for path, label in zip(ids, found.labels, strict=True)
            if label
        ]
        assert all(part == label for part, label in named)
