"""What people said becomes the labels of a run: nothing is lost on the way, and chosen ones judge nothing."""

import csv

import numpy as np
import pytest

from tfautolabel.review.after_run import audit_purpose, certify_answers
from tfautolabel.review.finishing import finish_review, finisher, write_answers
from tfautolabel.review.opening import open_review
from tfautolabel.runs.record import read_record

WORDS = {"good": ("great", "lovely", "fine"), "bad": ("awful", "broken", "late")}


def truth_of(text):
    return next(name for name, words in WORDS.items() if any(word in text for word in words))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    with file.open("w") as stream:
        stream.write("id,text\n")
        for number in range(160):
            word = rng.choice(WORDS["good" if number % 2 else "bad"])
            stream.write(
                f"r{number},The {rng.choice(['film', 'meal', 'hotel'])} was {word} on day {number}.\n"
            )
    return file


def answer(review, n, mode="teach", who="anna"):
    for _ in range(n):
        shown = review.next(who, mode=mode)
        if shown is None:
            return
        text = review.material.dataset.read(np.array([shown.row]))[0].decode()
        review.answer(who, shown, truth_of(text), seconds=1.0)


@pytest.mark.packaged
def test_from_nothing_to_a_certified_run(reviews, tmp_path):
    """One session from zero labels to a run, its audit on the same page, and on again from the folder."""
    out = tmp_path / "out"
    review = open_review(reviews, out, classes=["good", "bad"], progress=False)
    assert review.modes == ("teach",)
    with pytest.raises(ValueError, match="every class needs a label"):
        finish_review(review, progress=False)
    answer(review, 50)
    odd = review.next("anna")
    review.answer("anna", odd, kind="none_of_these")
    result = finish_review(review, progress=False)
    record = result.record
    assert record["cross_validation"]["drawn"]
    assert record["cross_validation"]["examples"] < 20
    assert record["settings"]["sampling"] == "chosen"
    assert record["counts"]["reasons"]["none_of_these"] == 1
    assert record["counts"]["accepted"] > 50
    with (out / "predictions.csv").open() as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert len(rows) == 110  # whatever has no label from a person
    assert (rows[odd.id]["accepted"], rows[odd.id]["origin"]) == ("false", "human")
    right = [row["label"] == truth_of(line) for row, line in zip_texts(rows, reviews)]
    assert np.mean(right) > 0.9
    assert "audit" in review.modes
    purpose = audit_purpose(record)
    answer(review, 200, mode="audit")
    sentence = finisher(review)("audit")
    assert "labels were checked, 0 are wrong" in sentence
    assert read_record(out)["audit"]["state"] in ("certified", "undecided")
    review.answers.close()
    again = open_review(out, progress=False)
    assert again.classes == ("good", "bad")
    assert len(again.ledger.labels()) == 50
    assert len(again.ledger.labels(purpose)) == read_record(out)["audit"]["answered"]
    again.answers.close()


def zip_texts(rows, file):
    with file.open() as stream:
        return [(rows[row["id"]], row["text"]) for row in csv.DictReader(stream) if row["id"] in rows]


@pytest.mark.packaged
def test_tables_of_answers_tell_everything(reviews, tmp_path):
    review = open_review(reviews, tmp_path / "out", classes=["good", "bad"], progress=False)
    answer(review, 10)
    review.answer("anna", review.next("anna"), kind="cannot_tell", comment="both\nof them")
    answers, labels = write_answers(review, tmp_path / "out")
    with answers.open(newline="") as stream:
        events = list(csv.DictReader(stream))
    assert [event["kind"] for event in events] == ["label"] * 10 + ["cannot_tell"]
    assert events[-1]["comment"] == "both\nof them"
    assert events[0]["who"] == "anna"
    before = answers.read_bytes()
    answer(review, 1)
    write_answers(review, tmp_path / "out")
    assert answers.read_bytes().startswith(before)  # rows are added at the end only
    with labels.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sum(row["label"] != "" for row in rows) == 11 - 0
    assert {row["asked"] for row in rows if row["label"]} == {"random", "chosen"}
    review.answers.close()


def test_an_audit_counts_until_the_first_open_item(tmp_path):
    """Answers after a hole wait, since a certificate needs the items in their order."""
    from tfautolabel.runs.answers import Event
    from tfautolabel.runs.audit_list import AuditItem, read_audit_list, write_audit_list
    from tfautolabel.runs.ledger import Ledger

    write_audit_list([AuditItem(f"i{n}", "x") for n in range(5)], tmp_path / "audit.csv")
    record = {"id": "0123456789abcdef0123"}
    ledger = Ledger(["x", "y"])
    said = [("i0", "label", "x"), ("i1", "cannot_tell", ""), ("i3", "label", "y"), ("i4", "label", "x")]
    ledger.add(
        Event(f"a{n}", "anna", kind, item, label, purpose=audit_purpose(record), number=n)
        for n, (item, kind, label) in enumerate(said, 1)
    )
    with pytest.raises(FileNotFoundError):  # there is no run here; the list is written before that shows
        certify_answers(tmp_path, record, ledger)
    assert [item.answer for item in read_audit_list(tmp_path / "audit.csv")] == ["x", "no", "", "", ""]


def test_mistakes_leave_nothing_behind(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder or file"):
        open_review(tmp_path / "none", tmp_path / "out", progress=False)
    with pytest.raises(FileNotFoundError, match="a review goes on in a folder that"):
        open_review(tmp_path / "none", progress=False)
    with pytest.raises(ValueError, match="needs a folder for its results"):
        open_review(["text one", "text two"], progress=False)
    assert list(tmp_path.iterdir()) == []
