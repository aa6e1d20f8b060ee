import numpy as np
import pytest

from tfautolabel import ABSTAIN, Dataset, apply_rules, labeling_function, model_rule
from tfautolabel.rules.apply import cast_votes
from tfautolabel.rules.fields import Fields

CLASSES = ["bad", "good"]


def texts(values):
    return Dataset.from_inputs(list(values), modality="text")


def test_a_function_can_still_be_called_and_keeps_its_text():
    @labeling_function()
    def refund(text):
        """Wants money back."""
        return "bad" if "refund" in text else ABSTAIN

    assert (refund.name, refund.__doc__) == ("refund", "Wants money back.")
    assert (refund("a refund"), refund("fine")) == ("bad", ABSTAIN)


def test_a_preprocessor_is_called_once_for_an_example_however_many_rules_share_it():
    calls = []

    def words(text):
        calls.append(text)
        return text.split()

    def rule(wanted):
        @labeling_function(wanted, resources={"wanted": wanted}, pre=[str.lower, words])
        def has(found, wanted):
            return "good" if wanted in found else ABSTAIN

        return has

    pool = texts(["A b", "C", "b"])
    assert apply_rules([rule("a"), rule("b"), rule("c")], pool, CLASSES).tolist() == [
        [1, 1, -1],
        [-1, -1, 1],
        [-1, 1, -1],
    ]
    assert calls == ["a b", "c", "b"]


def test_a_preprocessor_that_fails_is_a_failure_of_each_rule_behind_it():
    def picky(text):
        raise ValueError("too short")

    @labeling_function(pre=[picky])
    def one(value):
        return "good"

    votes = cast_votes([one], texts(["a", "b"]), CLASSES, progress=False)
    assert votes.matrix.tolist() == [[-1], [-1]]
    assert votes.failures[0].first[0].reason == "ValueError: too short"


def test_a_rule_on_rows_gets_all_that_is_known():
    @labeling_function(on="row")
    def rated(row):
        return "good" if row["stars"] >= 4 else "bad"

    pool = texts(["x", "y"])
    stars = {"0": 5, "1": 2}

    def fields(examples):
        return [{"stars": stars[str(name)]} for name in examples.ids]

    assert apply_rules([rated], pool, CLASSES, fields=fields).tolist() == [[1], [0]]


def test_rows_hold_the_name_of_an_example_without_any_table():
    @labeling_function(on="row")
    def by_name(row):
        return "good" if row["name"].startswith("fine") else ABSTAIN

    pool = Dataset.from_inputs([b"1", b"2"], ids=["day1/fine_1.png", "day1/x.png"], modality="image")
    assert apply_rules([by_name], pool, CLASSES).tolist() == [[1], [-1]]


def test_a_name_means_the_same_with_and_without_columns():
    @labeling_function(on="row")
    def by_name(row):
        return "good" if (row["name"], row["folder"], row["size"]) == ("fine_1", "day1", 3) else "bad"

    pool = Dataset.from_inputs([b"123"], ids=["day1/fine_1.png"], modality="image")
    fields = Fields([b"123"])
    for given in (None, fields):
        assert apply_rules([by_name], pool, CLASSES, fields=given).tolist() == [[1]]


class Model:
    classes = ("good", "bad")

    def predict(self, data):
        table = {"yes": [0.9, 0.1], "no": [0.3, 0.7], "gone": [0.0, 0.0]}
        return np.array([table[value.decode()] for value in data.read(range(len(data)))], np.float32)


def test_a_model_votes_where_it_is_sure_by_the_names_of_its_classes():
    pool = texts(["yes", "no", "gone"])
    votes = apply_rules([model_rule(Model(), "old", min_confidence=0.8)], pool, CLASSES)
    assert votes.tolist() == [[1], [-1], [-1]]
    votes = apply_rules([model_rule(Model(), min_confidence=0.0)], pool, CLASSES)
    assert votes.tolist() == [[1], [0], [-1]]


def test_a_model_for_other_classes_is_refused():
    with pytest.raises(ValueError, match="rule 'model' is for a class that is not there"):
        apply_rules([model_rule(Model())], texts(["yes"]), ["good", "so-so"])


def test_refusals():
    with pytest.raises(TypeError, match="has parentheses"):
        labeling_function(lambda text: None)
    with pytest.raises(ValueError, match="on must be 'input' or 'row'"):
        labeling_function(on="text")
    with pytest.raises(ValueError, match="min_confidence"):
        model_rule(Model(), min_confidence=2.0)
