"""What a check of given labels found becomes questions of the page, the worst first."""

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.review.after_run import lists_of_check
from tfautolabel.review.finishing import finisher
from tfautolabel.review.material import Material
from tfautolabel.review.session import Review
from tfautolabel.runs.answers import Answers

TABLE = "rank,id,given,likelier,score,why\n1,c,x,y,0.01,\n2,a,y,x,0.2,\n3,b,x,,0.9,\n4,gone,x,y,0.3,\n"


def material():
    data = Dataset.from_inputs(["t1", "t2", "t3"], ["y", "x", "x"], ids=["a", "b", "c"], modality="text")
    return Material(data, np.eye(3, 4, dtype=np.float32))


def test_doubtful_labels_are_asked_the_worst_first(tmp_path):
    assert lists_of_check(tmp_path, material()) == {}
    (tmp_path / "check_labels.csv").write_text(TABLE)
    (tmp_path / "check_labels.json").write_text("{}")
    found = lists_of_check(tmp_path, material())["check"]
    assert [(one.row, one.given, one.likelier) for one in found] == [(2, "x", "y"), (0, "y", "x")]


def test_checked_labels_are_written_and_nothing_else_is_changed(tmp_path):
    (tmp_path / "check_labels.csv").write_text(TABLE)
    (tmp_path / "check_labels.json").write_text("{}")
    store = Answers(tmp_path / "answers.sqlite")
    review = Review(material(), store, lists=lists_of_check(tmp_path, material()))
    review.answer("anna", review.next("anna", mode="check"), "y")
    review.answer("anna", review.next("anna", mode="check"), "y")
    sentence = finisher(review)("check")
    assert sentence.startswith("2 given labels were looked at, 1 changed.")
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    assert rows == ["id,label,asked,answer", "a,y,given,", "b,x,given,", "c,y,given,"]
    assert (tmp_path / "check_labels.csv").read_text() == TABLE
    store.close()
