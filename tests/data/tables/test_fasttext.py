"""Files of fastText and answers of Prodigy hold a label or say that there is none."""

import json

import pytest

from tfautolabel.data import load_dataset
from tfautolabel.labels import ABSTAIN


def labels_of(dataset):
    return [None if c == ABSTAIN else dataset.classes[c] for c in dataset.class_ids.tolist()]


def test_labels_before_texts(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("__label__spam , Free  entry\n\n__label__ham Go on, then\nno label here\n")
    dataset = load_dataset(path)
    assert labels_of(dataset) == ["spam", "ham", None]
    assert dataset.read([0, 1, 2]) == [b"Free  entry", b"Go on, then", b"no label here"]
    assert any("as fastText writes it" in note for note in dataset.notes)
    path.write_text("__label__a __label__b Free entry\n__label__a x\n")
    with pytest.raises(ValueError, match="names several"):
        load_dataset(path)


@pytest.mark.parametrize("array", [False, True])
def test_only_accepted_labels_count(tmp_path, array):
    rows = [
        {"text": "one", "label": "spam", "answer": "accept"},
        {"text": "two", "label": "spam", "answer": "reject"},
        {"text": "three", "accept": ["ham"], "answer": "accept"},
        {"text": "four", "accept": [], "answer": "accept"},
        {"text": "five", "label": "ham", "answer": "ignore"},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(rows) if array else "\n".join(map(json.dumps, rows)))
    dataset = load_dataset(path)
    assert labels_of(dataset) == ["spam", None, "ham", None, None]
    assert any("as Prodigy writes it" in note for note in dataset.notes)


def test_other_answers_are_columns_like_others(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one", "label": "a", "answer": "yes"}\n{"text": "two", "answer": "reject"}\n')
    assert labels_of(load_dataset(path)) == ["a", None]
