"""Exports of Label Studio: the answer that counts, and what the rows do not show."""

import json

import pytest

from tfautolabel.data import load_dataset
from tfautolabel.data.label_file import read_label_file


def annotation(*choices, at=0, **further):
    result = [{"type": "choices", "from_name": "label", "value": {"choices": list(choices)}}]
    return {"updated_at": f"2026-11-27T11:59:{at:02d}Z", "result": result if choices else [], **further}


def task(number, *annotations, **data):
    return {"id": number, "data": {"text": f"text {number}", **data}, "annotations": list(annotations)}


@pytest.fixture
def read(tmp_path):
    def one(tasks, name="export.json"):
        file = tmp_path / name
        file.write_text(tasks if isinstance(tasks, str) else json.dumps(tasks), encoding="utf-8")
        return read_label_file(file)

    return one


def labels_of(listed):
    return [(row.path, row.label) for row in listed.rows]


def test_the_latest_answer_that_was_not_cancelled_counts_in_whatever_order(read):
    first, last = annotation("ham", at=1, id=9), annotation("spam", at=2, id=3)
    skip = annotation(at=3, was_cancelled=True)
    for given in ([first, last, skip], [skip, last, first]):
        listed = read([task(1, *given, tal_id="a"), task(2, first, first, tal_id="b")])
        assert labels_of(listed) == [("a", "spam"), ("b", "ham")]
        assert [note for note in listed.notes if "differ" in note] == [
            f"{listed.source}: 1 of 2 tasks have answers that differ; the latest one counts: 'a'"
        ]


def test_skipped_tasks_have_no_label_and_are_counted(read):
    skipped = annotation("spam", was_cancelled=True)
    listed = read([task(1, skipped, tal_id="a"), task(2, tal_id="b"), task(3, annotation("ham"), tal_id="c")])
    assert labels_of(listed) == [("a", ""), ("b", ""), ("c", "ham")]
    assert f"{listed.source}: people skipped 1 of 3 tasks: no label" in listed.notes


def test_the_id_of_ours_comes_before_paths(read):
    mine = task(1, annotation("x"), tal_id="cat/1.png", image="/data/local-files/?d=else/7.png")
    listed = read([mine, task(2, annotation("y"), image="/data/upload/1/0a1b2c3d-2.png")])
    assert labels_of(listed) == [("cat/1.png", "x"), ("/data/upload/1/0a1b2c3d-2.png", "y")]


def test_flat_exports_say_what_they_lack(read):
    flat = [{"id": 1, "text": "a", "tal_id": "r1", "label": "x", "annotator": 1, "lead_time": 2.5}]
    listed = read(flat)
    assert labels_of(listed) == [("r1", "x")]
    assert any("lacks the tasks that people skipped" in note for note in listed.notes)
    lines = "annotation_id,annotator,id,label,lead_time,tal_id,text\n1,7,1,x,2.5,r1,a\n"
    listed = read(lines, "export.csv")
    assert labels_of(listed) == [("r1", "x")]
    assert any("lacks the tasks that people skipped" in note for note in listed.notes)


def test_an_export_is_also_a_table_of_texts(tmp_path):
    tasks = [task(1, annotation("x"), tal_id="r7", tal_uncertainty=0.4), task(2, tal_id="r8")]
    (tmp_path / "export.json").write_text(json.dumps([*tasks, task(3, annotation("y"), tal_id="r9")]))
    found = load_dataset(tmp_path / "export.json")
    assert found.ids.tolist() == ["r7", "r8", "r9"]
    assert found.read([0, 1]) == [b"text 1", b"text 2"]
    assert found.classes == ("x", "y")


ROWS = "id,text\n5,text 2\n1,text 5\n2,  text 1\n3,text 9\n4,text 1\n"


@pytest.mark.parametrize("flat", [False, True])
def test_numbers_of_tasks_name_no_rows_but_texts_do(tmp_path, flat):
    (tmp_path / "rows.csv").write_text(ROWS)
    tasks = [task(1, annotation("x")), task(2, annotation("y")), task(3), task(5, annotation("x"))]
    if flat:
        tasks = [
            {"id": one["id"], "text": one["data"]["text"], "label": label, "annotator": 1, "lead_time": 2}
            for one, label in zip(tasks, ("x", "y", None, "x"), strict=True)
        ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    found = load_dataset(tmp_path / "rows.csv", tmp_path / "export.json")
    labels = [None if i < 0 else found.classes[i] for i in found.class_ids]
    assert dict(zip(found.ids.tolist(), labels, strict=True)) == {
        "5": "y", "1": "x", "2": "x", "3": None, "4": "x",
    }  # fmt: skip
    assert any("the texts name the examples; 1 of 4 texts are no example" in note for note in found.notes)


def test_texts_that_do_not_decide_are_refused(tmp_path):
    (tmp_path / "rows.csv").write_text(ROWS)
    export = tmp_path / "export.json"
    export.write_text(json.dumps([task(1, annotation("x")), {**task(1, annotation("y")), "id": 2}]))
    with pytest.raises(ValueError, match="'text 1' is 'x' in item 1 and 'y' in item 2"):
        load_dataset(tmp_path / "rows.csv", export)
    export.write_text(json.dumps([task(77, annotation("x"))]))
    with pytest.raises(ValueError, match="none of its 1 texts is an example"):
        load_dataset(tmp_path / "rows.csv", export)
