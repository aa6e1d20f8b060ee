"""Labels files in the forms that people's tools write."""

import json

import pytest
from pictures import PICTURES
from table_files import FILE_KINDS, write_table

from tfautolabel.data import load_dataset
from tfautolabel.labels import ABSTAIN

NAMES = ["cat/img 1.png", "cat/2.png", "dog/é3.png", "dog/4.png"]
GIVEN = {"cat/img 1.png": "a", "cat/2.png": "b", "dog/é3.png": "a"}


@pytest.fixture
def photos(tmp_path):
    for name in NAMES:
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(PICTURES["png-grey"]())
    return tmp_path / "photos"


def labels_of(dataset):
    return {
        name: dataset.classes[c]
        for name, c in zip(dataset.ids.tolist(), dataset.class_ids.tolist(), strict=True)
        if c != ABSTAIN
    }


@pytest.mark.parametrize("kind", FILE_KINDS)
@pytest.mark.parametrize(
    "columns", [("path", "label"), ("filename", "class"), ("image", "target"), ("ID", "Category")]
)
def test_every_kind_of_table_with_every_usual_name(photos, tmp_path, kind, columns):
    rows = [{columns[0]: name, "width": "640", columns[1]: label} for name, label in GIVEN.items()]
    assert labels_of(load_dataset(photos, write_table(kind, rows, tmp_path))) == GIVEN


@pytest.mark.parametrize(
    "document",
    [
        GIVEN,
        {name: [label] for name, label in GIVEN.items()},
        [{"image": f"/data/upload/1/0a1b2c3d-{name.rpartition('/')[2]}", "id": 7, "choice": label}
         for name, label in GIVEN.items()],
        [
            {"id": 1, "data": {"image": f"/data/local-files/?d=photos/{name}"},
             "annotations": [{"result": [{"type": "choices", "value": {"choices": [label]}}]}]}
            for name, label in GIVEN.items()
        ],
        {"classes": ["a", "b"],
         "labels": {name.removesuffix(".png"): "ab".index(label) for name, label in GIVEN.items()}},
        {"samples": [{"filepath": f"/mnt/{name}", "ground_truth": {"_cls": "Classification", "label": label}}
                     for name, label in GIVEN.items()]},
        {"images": [{"id": n, "file_name": name} for n, name in enumerate(GIVEN)],
         "annotations": [{"image_id": n, "category_id": "ab".index(y)} for n, y in enumerate(GIVEN.values())],
         "categories": [{"id": 0, "name": "a"}, {"id": 1, "name": "b"}]},
    ],
)  # fmt: skip
def test_json_and_exports(photos, tmp_path, document):
    (tmp_path / "labels.json").write_text(json.dumps(document))
    assert labels_of(load_dataset(photos, tmp_path / "labels.json")) == GIVEN


@pytest.mark.parametrize(
    "written",
    [
        "photos/{}", "../{top}/photos/{}", "{root}/{}", "file://{root}/{}", "./{}",
        "https://example.org/set/{}", "C:\\data\\photos\\{}", "/home/other/photos/{}",
    ],
)  # fmt: skip
def test_paths_as_tools_write_them(photos, tmp_path, written):
    lines = [
        written.replace("{root}", str(photos)).replace("{top}", tmp_path.name).replace("{}", name)
        + ","
        + label
        for name, label in GIVEN.items()
    ]
    (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(lines), encoding="utf-8")
    assert labels_of(load_dataset(photos, tmp_path / "labels.csv")) == GIVEN


def test_bare_names_count_where_one_file_has_them(photos, tmp_path):
    (photos / "dog" / "2.png").write_bytes(b"x")
    (tmp_path / "labels.csv").write_text("image_id,label\nimg 1,a\n4.PNG,b\n2.png,c\n")
    with pytest.warns(UserWarning, match=r"1 label for files that were not found.*'2.png'"):
        dataset = load_dataset(photos, tmp_path / "labels.csv")
    assert labels_of(dataset) == {"cat/img 1.png": "a", "dog/4.png": "b"}
    assert any("2 paths were found by" in note for note in dataset.notes)


@pytest.mark.parametrize("numbers", [range(1, 9), range(2, 10), [1, 2, 3], [9]])
def test_own_numbers_are_refused(tmp_path, numbers):
    (tmp_path / "t.csv").write_text("text\n" + "".join(f"text number {n}\n" for n in range(8)))
    (tmp_path / "l.csv").write_text("id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in numbers))
    with pytest.raises(
        ValueError, match=r"counted from 0 to 7, but the list seems to count otherwise.*--id-column"
    ):
        load_dataset(tmp_path / "t.csv", tmp_path / "l.csv")


def test_numbers_from_zero_and_of_a_column_of_ids_are_taken(tmp_path):
    (tmp_path / "t.csv").write_text("text\n" + "".join(f"text number {n}\n" for n in range(8)))
    (tmp_path / "l.csv").write_text("id,label\n0,a\n1,b\n5,a\n")
    assert labels_of(load_dataset(tmp_path / "t.csv", tmp_path / "l.csv")) == {"0": "a", "1": "b", "5": "a"}
    (tmp_path / "n.csv").write_text("id,text\n" + "".join(f"{n},text number {n}\n" for n in range(1, 9)))
    (tmp_path / "l.csv").write_text("id,label\n" + "".join(f"{n},{'ab'[n % 2]}\n" for n in range(1, 9)))
    assert len(labels_of(load_dataset(tmp_path / "n.csv", tmp_path / "l.csv"))) == 8


@pytest.mark.parametrize(
    "document",
    [
        {"a": ["cat/img 1.png", "dog/é3.png"], "b": ["cat/2.png"]},
        {"classes": None, "labels": {"img 1": "a", "2": "b", "é3": "a"}},
        {
            "labels": {
                "cat/img 1.png": {"label": "a"},
                "cat/2.png": {"label": "b"},
                "dog/é3.png": {"label": "a"},
            }
        },
        {
            "images": [{"id": n, "file_name": name} for n, name in enumerate(GIVEN)],
            "annotations": [
                {"image_id": str(n), "category_id": "ab".index(label)}
                for n, label in enumerate(GIVEN.values())
            ],
            "categories": [{"id": "0", "name": "a"}, {"id": "1", "name": "b"}],
        },
    ],
)
def test_looser_forms_of_documents(photos, tmp_path, document):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(document))
    assert labels_of(load_dataset(photos, path)) == GIVEN


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"classes": ["a", "b"], "labels": {"cat/2.png": 7}}', "numbers below 2.*7 for 'cat/2.png'"),
        ('{"cat/2.png": "a", "dog/4.png": "b", "cat/2.png": "b"}', "'cat/2.png' has two values, 'a' and 'b'"),
        (
            '{"images": [{"id": 1, "file_name": "2.png"}], "categories": [{"id": 1, "name": "a"}], '
            '"annotations": [{"image_id": 1, "category_id": 5}]}',
            "one of the categories .*'5'",
        ),
        ('[{"path": "2.png", "label": null}]', "none of its 1 rows has a label"),
    ],
)
def test_documents_that_contradict_themselves_are_refused(photos, tmp_path, text, reason):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        load_dataset(photos, path)


def test_space_around_names_of_rows_does_not_count(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n a1,first\na2,second\na3 ,third\n")
    (tmp_path / "l.csv").write_text("id,label\na1,x\n a2 ,y\n")
    assert labels_of(load_dataset(tmp_path / "t.csv", tmp_path / "l.csv")) == {" a1": "x", "a2": "y"}


def test_numbers_that_are_the_rows_own_names_are_taken(tmp_path):
    rows = "".join(f"{n},text {n}\n" for n in range(8))
    (tmp_path / "l.csv").write_text("id,label\n1,x\n2,y\n3,x\n")
    (tmp_path / "t.csv").write_text(f"id,text\n{rows}")
    assert labels_of(load_dataset(tmp_path / "t.csv", tmp_path / "l.csv")) == {"1": "x", "2": "y", "3": "x"}
    (tmp_path / "t.csv").write_text(f"grade,text\n{rows}")
    (tmp_path / "l.csv").write_text("id,label\n1,x\n2,y\n3,x\nelse,x\n")
    with pytest.raises(ValueError, match="would move each label by one row"):
        load_dataset(tmp_path / "t.csv", tmp_path / "l.csv")
