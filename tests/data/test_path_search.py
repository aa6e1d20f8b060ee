import os
from pathlib import Path
from unicodedata import normalize
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import PICTURES

from tfautolabel.data import Dataset, ReadFailure, load_dataset
from tfautolabel.data.written_paths import looks_like_path, spellings

PICTURE = PICTURES["png-grey"]()


def make_files(folder, names):
    for name in names:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)


def write_list(path, values, column="image"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ['"' + value.replace('"', '""') + '",' + "ab"[row % 2] for row, value in enumerate(values)]
    path.write_text(f"{column},label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def all_are_read(dataset):
    return dataset.modality == "image" and dataset.read(np.arange(len(dataset))) == [PICTURE] * len(dataset)


NAMES = [f"pics/img {n}.png" for n in range(6)]

WAYS = {
    "plain": lambda name, root: name,
    "dotted": lambda name, root: f"./{name}",
    "windows": lambda name, root: name.replace("/", "\\"),
    "full": lambda name, root: f"{root}/{name}",
    "file": lambda name, root: f"file://{root}/{quote(name)}",
    "file, one slash": lambda name, root: f"file:{root}/{name}",
    "file on localhost": lambda name, root: f"file://localhost{root}/{quote(name)}",
    "percent": lambda name, root: quote(name),
    "spaces around": lambda name, root: f" {name} ",
    "of another machine": lambda name, root: f"/home/somebody/project/{name}",
    "of another Windows machine": lambda name, root: "C:\\Users\\somebody\\" + name.replace("/", "\\"),
    "address": lambda name, root: f"https://example.org/{quote(name)}",
    "the name alone": lambda name, root: name.rpartition("/")[2],
    "without its ending": lambda name, root: name.removesuffix(".png"),
    "the name alone without its ending": lambda name, root: name.rpartition("/")[2].removesuffix(".png"),
    "in quotes": lambda name, root: f"'{name}'",
    "behind a character that nobody sees": lambda name, root: f"\u200b{name}\u00a0",
    "in a folder that the environment names": lambda name, root: "${PICTURES}/" + name.partition("/")[2],
    "in other letters at the end": lambda name, root: name.removesuffix(".png") + ".PNG",
    "label studio": lambda name, root: f"/data/local-files/?d={quote(name)}",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["table", "frame", "list"])
def test_paths_are_found_however_they_are_written(tmp_path, monkeypatch, way, kind):
    names = [name.replace(" ", "") for name in NAMES] if "ending" in way else NAMES
    monkeypatch.setenv("PICTURES", str(tmp_path / "pics"))
    make_files(tmp_path, names)
    written = [WAYS[way](name, tmp_path) for name in names]
    if kind == "table":
        monkeypatch.chdir("/")
        dataset = load_dataset(write_list(tmp_path / "t.csv", written))
        assert "the files that column 'image' names" in dataset.notes[0]
    else:
        if "alone" in way:
            pytest.skip("no folder belongs to what is in memory")
        import pandas as pd

        monkeypatch.chdir(tmp_path)
        data = pd.DataFrame({"path": written, "label": ["a", "b"] * 3}) if kind == "frame" else written
        dataset = load_dataset(data)
    assert all_are_read(dataset)


@pytest.mark.parametrize("there", [".JPEG", ".Png", ".HEIC", ".dicom", ".m4a"])
@pytest.mark.parametrize("folder", ["", "p/"])
def test_the_ending_is_the_one_that_is_there(tmp_path, folder, there):
    make_files(tmp_path, [f"p/scan_{n:03d}{there}" for n in range(6)])
    make_files(tmp_path, [f"p/scan_{n:03d}.txt" for n in range(6)])
    dataset = load_dataset(write_list(tmp_path / "t.csv", [f"{folder}scan_{n:03d}" for n in range(6)]))
    assert all_are_read(dataset)
    assert f"with the ending {there}" in dataset.notes[0]


@pytest.mark.parametrize("columns", ["id,breed", "image_id,class", "patientId,Target", "id_code,diagnosis"])
def test_names_of_rows_that_are_those_of_files(tmp_path, columns):
    make_files(tmp_path, [f"train/{n:05d}.png" for n in range(8)])
    rows = [f"{n:05d},{'ab'[n % 2]}" for n in range(8)]
    table = tmp_path / "t.csv"
    table.write_text("\n".join([columns, *rows]))
    dataset = load_dataset(table)
    assert all_are_read(dataset)
    assert dataset.classes == ("a", "b")


@pytest.mark.parametrize("folders", ["a", "ab"])
def test_texts_stay_texts_whatever_files_have_their_names(tmp_path, folders):
    make_files(tmp_path, [f"{part}/{n}.png" for part in folders for n in range(8)])
    table = tmp_path / "t.csv"
    table.write_text("id,remark\n" + "".join(f"{n},this is remark number {n}\n" for n in range(8)))
    assert load_dataset(table).modality == "text"
    table.write_text("id,remark\n" + "".join(f"{n},short {n}\n" for n in range(8)))
    assert load_dataset(table).modality == "text"


def test_a_column_of_few_words_is_not_taken_for_texts(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("id,verdict\n" + "".join(f"x{n},{'ab'[n % 2]}\n" for n in range(8)))
    with pytest.raises(ValueError, match="'verdict' seems to hold labels"):
        load_dataset(table)
    table.write_text("id,words\n" + "".join(f"x{n},some {n}\n" for n in range(8)))
    assert load_dataset(table).modality == "text"


@pytest.mark.parametrize(("disk", "table"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_composed_otherwise_than_on_the_disk(tmp_path, disk, table):
    names = [f"été/crème {n}.png" for n in range(4)]
    make_files(tmp_path, [normalize(disk, name) for name in names])
    assert all_are_read(load_dataset(write_list(tmp_path / "t.csv", [normalize(table, n) for n in names])))


@pytest.mark.parametrize("name", ["a#b/{}#1.png", "what?{}.png", "100%25 {}.png"])
@pytest.mark.parametrize("write", [str, lambda path: f"file://{path}", lambda path: f"file://{quote(path)}"])
def test_marks_of_addresses_in_names(tmp_path, name, write):
    names = [name.format(n) for n in range(4)]
    make_files(tmp_path, names)
    written = [write(f"{tmp_path}/{name}") for name in names]
    assert all_are_read(load_dataset(write_list(tmp_path / "lists" / "t.csv", written)))


@pytest.mark.parametrize(
    "address", ["dbfs://bucket/a b/{}.png", "//cdn.example.org/{}", "wasbs://bucket/object{}"]
)
def test_addresses_that_are_not_read_are_said_to_be_such(tmp_path, address):
    with pytest.raises(ValueError, match="holds addresses, which are not fetched"):
        load_dataset(write_list(tmp_path / "t.csv", [address.format(n) for n in range(4)], "text"))


def test_paths_relative_to_the_working_directory(tmp_path, monkeypatch):
    make_files(tmp_path, NAMES)
    monkeypatch.chdir(tmp_path)
    dataset = load_dataset(write_list(tmp_path / "lists" / "t.csv", NAMES))
    assert all_are_read(dataset)
    assert f"in the working directory ({str(tmp_path)!r})" in dataset.notes[0]


def test_beside_the_table_comes_before_the_working_directory(tmp_path, monkeypatch):
    make_files(tmp_path / "table", NAMES)
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"another")
    monkeypatch.chdir(tmp_path)
    assert all_are_read(load_dataset(write_list(tmp_path / "table" / "t.csv", NAMES)))


def test_paths_beside_the_folder_of_the_table(tmp_path, monkeypatch):
    make_files(tmp_path, NAMES)
    monkeypatch.chdir("/")
    dataset = load_dataset(write_list(tmp_path / "annotations" / "t.csv", NAMES))
    assert all_are_read(dataset)
    assert f"in the folder above the table ({str(tmp_path)!r})" in dataset.notes[0]


def test_paths_above_the_table(tmp_path, monkeypatch):
    make_files(tmp_path, NAMES)
    monkeypatch.chdir("/")
    dataset = load_dataset(write_list(tmp_path / "lists" / "t.csv", [f"../{name}" for name in NAMES]))
    assert all_are_read(dataset)
    assert "out of the folder" in dataset.notes[0]


@pytest.mark.parametrize("column", ["image", "text", "anything"])
@pytest.mark.parametrize(
    "written", ["a{}.jpg", "x/y/a{}.JPEG", "C:\\x\\a{}.png", "/x/y/a{}", "file:///x/a{}.wav", "~/a{}.mp3"]
)
def test_paths_that_lead_nowhere_are_no_texts(tmp_path, monkeypatch, column, written):
    import pandas as pd

    monkeypatch.chdir("/")
    values = [written.format(n) for n in range(30)]
    table = write_list(tmp_path / "t.csv", values, column)
    for load in (
        lambda: load_dataset(table),
        lambda: load_dataset(pd.DataFrame({column: values, "label": ["a", "b"] * 15})),
        lambda: load_dataset(values),
        lambda: Dataset.from_inputs(values),
        lambda: Dataset.from_inputs(values, modality="image"),
    ):
        with pytest.raises(ValueError, match=r"looks like paths, but none of the 30") as refusal:
            load()
        for value in values[:3]:
            assert repr(value) in str(refusal.value)
        assert "in the working directory ('/')" in str(refusal.value)
        assert "--modality text" in str(refusal.value)
    with pytest.raises(ValueError, match="beside the table") as refusal:
        load_dataset(table)
    assert repr(str(tmp_path)) in str(refusal.value)
    # Whoever says so has texts.
    assert load_dataset(table, modality="text").read([1]) == [values[1].encode()]
    assert Dataset.from_inputs(values, modality="text").read([1]) == [values[1].encode()]


def test_addresses_are_not_fetched(tmp_path):
    values = [f"https://example.org/a?id={n}" for n in range(5)]
    with pytest.raises(ValueError, match=r"holds addresses, which are not fetched.*--modality text"):
        load_dataset(write_list(tmp_path / "t.csv", values, "link"))


def test_a_list_whose_first_files_are_gone_is_still_one_of_files(tmp_path):
    names = [f"{n:03}.png" for n in range(300)]
    make_files(tmp_path, names[100:])
    dataset = load_dataset(write_list(tmp_path / "t.csv", names))
    assert dataset.modality == "image"
    read = dataset.read([0, 299])
    assert str(read[0]) == "there is no file '000.png'"
    assert read[1] == PICTURE
    make_files(tmp_path / "rare", names[:1])
    rare = load_dataset(write_list(tmp_path / "rare" / "t.csv", names))
    assert [isinstance(value, ReadFailure) for value in rare.read([0, 1])] == [False, True]


def test_names_that_two_folders_have_are_refused(tmp_path):
    make_files(tmp_path, ["large/a.png", "small/a.png"])
    with pytest.raises(ValueError, match=r"several folders below the table have.*'large', 'small'"):
        load_dataset(write_list(tmp_path / "t.csv", ["a.png", "a.png"]))


def test_bare_names_in_several_folders_are_found_if_each_is_there_once(tmp_path):
    make_files(tmp_path, ["x/a.png", "x/deep/b.png", "y/c.png", "y/d.png"])
    dataset = load_dataset(write_list(tmp_path / "t.csv", ["a.png", "b.png", "c.png", "d.png", "gone.png"]))
    assert dataset.modality == "image"
    assert [isinstance(value, ReadFailure) for value in dataset.read(range(5))] == [False] * 4 + [True]
    assert "in the folders below the table" in " ".join(map(str, dataset.notes))


def test_a_bare_name_that_may_mean_two_files_is_refused(tmp_path):
    make_files(tmp_path, ["x/a.png", "y/a.png", "y/b.png", "y/c.png", "z/d.png"])
    with pytest.raises(ValueError, match=r"'a.png', which may be 'x/a.png' or 'y/a.png'"):
        load_dataset(write_list(tmp_path / "t.csv", ["a.png", "b.png", "c.png", "d.png"]))


def test_one_file_with_two_labels_is_refused(tmp_path):
    make_files(tmp_path, NAMES)
    written = [NAMES[0], f"./{NAMES[0]}", *NAMES[1:]]
    with pytest.raises(ValueError, match=r"one file has two labels\. .* 'a' in row 0 and 'b' in row 1"):
        load_dataset(write_list(tmp_path / "t.csv", written))
    again = write_list(tmp_path / "t.csv", [NAMES[0], NAMES[1], NAMES[0].replace("/", "\\")])
    assert any(
        "1 labelled row names a file that another one names" in note for note in load_dataset(again).notes
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["It was late.", "See a.jpg for more of what we meant by the words of last week."],
        ["either/or", "black/white"],
        ["Good :/", "bad ./"],
        ["7", "8.5"],
        ["http is a protocol", "www"],
        ["C: drive is full", "D:"],
        ["line one\nend.jpg", "other\nend.png"],
    ],
)
def test_texts_are_no_paths(tmp_path, texts):
    assert Dataset.from_inputs(texts).modality == "text"
    dataset = load_dataset(write_list(tmp_path / "t.csv", texts, "text"))
    assert dataset.read(np.arange(len(texts))) == [text.encode() for text in texts]


def test_other_things_than_texts_files_and_paths_are_named():
    with pytest.raises(TypeError, match=r"Received: None in row 1$"):
        Dataset.from_inputs(["x", None, "z"])
    with pytest.raises(TypeError, match=r"Received: float in row 0$"):
        load_dataset([float("nan"), "x"])
    with pytest.raises(TypeError, match=r"one kind: .*bytes in row 1, str in row 0"):
        Dataset.from_inputs(["x", b"y"])
    with pytest.raises(TypeError, match=r"Received: the text 'x' in row 0 with modality='image'"):
        Dataset.from_inputs(["x"], modality="image")


def test_path_objects_are_files(tmp_path):
    make_files(tmp_path, ["a", "b"])
    dataset = load_dataset([tmp_path / "a", tmp_path / "b"], ["x", None])
    assert all_are_read(dataset)
    assert dataset.classes == ("x",)
    with pytest.raises(ValueError, match=r"looks like paths.*gone'"):
        Dataset.from_inputs([tmp_path / "gone"])


names_of_files = st.text(
    st.characters(exclude_characters="/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    names=st.lists(names_of_files, min_size=3, max_size=5, unique=True),
    way=st.sampled_from(["plain", "full", "file", "percent"]),
)
def test_any_name_is_found(tmp_path_factory, names, way):
    folder = tmp_path_factory.mktemp("files")
    names = [f"d/x{name}.png" for name in names if len(name.encode()) < 200]
    make_files(folder, names)
    written = [WAYS[way](name, folder) for name in names]
    assert all_are_read(load_dataset(write_list(folder / "t.csv", written)))


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_asked(text):
    assert isinstance(looks_like_path(text), bool)
    assert all(isinstance(path, str) for path in spellings(text))
    assert os.sep == "/"
