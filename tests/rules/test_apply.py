import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel import ABSTAIN, Dataset, apply_rules, labeling_function
from tfautolabel.rules import apply
from tfautolabel.rules.apply import cast_votes, vote_parts
from tfautolabel.rules.contract import RuleStopped

CLASSES = ["bad", "good"]


def texts(values, **options):
    return Dataset.from_inputs(list(values), modality="text", **options)


def word(name, answer, own=None):
    @labeling_function(own or name)
    def rule(text):
        return answer if name in text.split() else ABSTAIN

    return rule


def test_names_and_ids_of_classes_are_the_same_vote():
    named, numbered = word("x", "good"), word("x", 1, "number")
    votes = apply_rules([named, numbered], texts(["x", "y", "y x"]), CLASSES)
    assert votes.dtype == np.int64
    assert votes.tolist() == [[1, 1], [-1, -1], [1, 1]]


@pytest.mark.parametrize("nothing", [None, "", ABSTAIN, np.int64(-1), "  "])
def test_nothing_is_no_vote(nothing):
    assert apply_rules([word("x", nothing)], texts(["x"]), CLASSES).tolist() == [[-1]]


def test_without_classes_the_names_that_rules_use_are_sorted():
    pool = texts(["x", "y", "z"])
    votes = cast_votes([word("x", "zebra"), word("y", "ant"), word("z", "moth")], pool, progress=False)
    assert votes.classes == ("ant", "moth", "zebra")
    assert votes.matrix.tolist() == [[2, -1, -1], [-1, 0, -1], [-1, -1, 1]]


def test_the_classes_of_a_pool_are_taken_and_their_spelling_is_found():
    pool = texts(["x", "y"], labels=["1", "2"])
    assert apply_rules([word("x", "1.0")], pool).tolist() == [[0], [-1]]


@given(
    st.lists(st.sampled_from(["a", "b", "a b", "", "c"]), min_size=1, max_size=40),
    st.integers(1, 7),
    st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_parts_and_threads_do_not_change_the_votes(values, rows, threads):
    rules = [word("a", "good"), word("b", "bad"), word("c", "other")]
    expected = cast_votes(rules, texts(values), progress=False, threads=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "PART_ROWS", rows)
        again = cast_votes(rules, texts(values), progress=False, threads=threads)
    assert again.classes == expected.classes
    assert np.array_equal(again.matrix, expected.matrix)
    alone = [[("bad", "good", "other").index(v) if v else -1 for v in row] for row in _by_hand(values)]
    assert expected.matrix.tolist() == np.array(alone)[:, [1, 0, 2]].tolist() or len(expected.classes) < 3


def _by_hand(values):
    return [
        ["bad" * ("b" in text.split()), "good" * ("a" in text.split()), "other" * ("c" in text.split())]
        for text in values
    ]


def test_a_rule_that_fails_abstains_there_and_says_where():
    @labeling_function()
    def picky(text):
        if text == "no":
            raise KeyError("I do not know\nmore lines")
        return "good"

    pool = texts(["yes", "no", "yes", "no"], ids=list("abcd"))
    votes = cast_votes([picky], pool, CLASSES, progress=False)
    assert votes.matrix[:, 0].tolist() == [1, -1, 1, -1]
    assert votes.failures[0].count == 2
    with pytest.warns(UserWarning, match="rule 'picky' failed on 2 examples, first on b: KeyError: 'I do"):
        apply_rules([picky], pool, CLASSES)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("goood", r"the classes are .*bad.*good.*; it gave 'goood'"),
        (2, r"must lie in \[-1, 1\]; it gave 2"),
        (-2, r"must lie in \[-1, 1\]; it gave -2"),
        (True, "gives the name of a class or ABSTAIN; it gave True"),
        (["good"], r"it gave \['good'\]"),
        (0.0, "it gave 0.0"),
    ],
)
def test_a_vote_that_is_none_of_the_classes_is_a_failure_of_that_example(answer, said):
    votes = cast_votes([word("x", answer)], texts(["x", "y"]), CLASSES, progress=False)
    assert votes.matrix.tolist() == [[-1], [-1]]
    assert votes.failures[0].count == 1
    with pytest.warns(UserWarning, match=said):
        apply_rules([word("x", answer)], texts(["x", "y"]), CLASSES)


def test_what_cannot_be_read_has_no_vote_and_is_told():
    class Seen:
        name, classes = "seen", ()

        def vote(self, part):
            assert len(part) == len(part.examples)
            return ["good"] * len(part)

    from tfautolabel.data.readers import MemoryReader

    pool = Dataset(MemoryReader([b"fine", b"\xff\xfe\x00", b"fine"]), ["a", "b", "c"], modality="text")
    votes = cast_votes([Seen()], pool, CLASSES, progress=False)
    assert votes.matrix[:, 0].tolist() == [1, -1, 1]
    assert [one.id for one in votes.unreadable] == ["b"]
    assert votes.covered.tolist() == [True, False, True]


def test_all_votes_of_a_rule_that_stops_are_dropped(monkeypatch):
    class Stops:
        name, classes = "slow", ("good",)

        def vote(self, part):
            if "end" in part.inputs:
                raise RuleStopped("it takes too long")
            return ["good"] * len(part)

    monkeypatch.setattr(apply, "PART_ROWS", 2)
    pool = texts(["a", "b", "end", "c", "d"])
    votes = cast_votes([Stops(), word("a", "bad")], pool, CLASSES, progress=False, threads=1)
    assert votes.matrix[:, 0].tolist() == [-1] * 5
    assert votes.matrix[:, 1].tolist() == [0, -1, -1, -1, -1]
    assert votes.sentences() == ["rule 'slow' is left out: it takes too long"]
    parts = list(vote_parts([Stops()], pool, CLASSES, progress=False, threads=1))
    assert [part.failures[0].stopped for part in parts] == ["", "it takes too long", "it takes too long"]


def test_refusals_name_what_was_received():
    pool = texts(["a"])
    with pytest.raises(ValueError, match="at least one rule is needed"):
        apply_rules([], pool)
    with pytest.raises(ValueError, match=r"names of rules.*'x'"):
        apply_rules([word("x", "good"), word("x", "bad")], pool)
    with pytest.raises(ValueError, match="a rule is a function under @labeling_function"):
        apply_rules([len], pool)

    @labeling_function(classes=["goood"])
    def typo(text):
        return None

    with pytest.raises(ValueError, match="rule 'typo' is for a class that is not there: the classes are"):
        apply_rules([typo], pool, CLASSES)


def test_pictures_come_as_encoded_bytes():
    pool = Dataset.from_inputs([b"\x89PNG123", b"GIF89a"], modality="image")

    @labeling_function()
    def is_png(data):
        return "png" if data.startswith(b"\x89PNG") else ABSTAIN

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert apply_rules([is_png], pool, ["png", "x"]).tolist() == [[0], [-1]]
