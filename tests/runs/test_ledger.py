"""What holds after all events: undone acts, several people, classes that change their names."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.runs.answers import Event
from tfautolabel.runs.ledger import Ledger, labels_of, seconds_an_answer, without_class


class Session:
    """Numbers events as a store does."""

    def __init__(self, classes=("x", "y")):
        self.ledger, self.number = Ledger(classes), 0

    def add(self, kind, item="", label="", who="anna", into="", act=None, **values):
        self.number += 1
        act = act or f"act{self.number}"
        self.ledger.add([Event(act, who, kind, item, label, into, number=self.number, **values)])
        return act


@pytest.fixture
def session():
    return Session()


def test_the_last_answer_of_a_person_holds(session):
    session.add("label", "a", "x")
    session.add("label", "a", "y")
    assert session.ledger.labels() == {"a": "y"}


def test_an_undone_act_leaves_what_was_before(session):
    session.add("label", "a", "x")
    second = session.add("label", "a", "y")
    session.add("undo", label=second)
    assert session.ledger.labels() == {"a": "x"}
    session.add("undo", label="act1")
    assert session.ledger.labels() == {}
    assert session.ledger.verdicts() == []


def test_an_act_is_undone_as_a_whole(session):
    for item in "abc":
        session.add("label", item, "x", act="grid")
    assert [event.item for event in session.ledger.last_act("anna")] == ["a", "b", "c"]
    session.add("undo", label="grid")
    assert session.ledger.labels() == {}
    assert session.ledger.last_act("anna") == []


def test_everybody_undoes_the_own_acts(session):
    session.add("label", "a", "x")
    session.add("label", "b", "x", who="ben")
    assert session.ledger.last_act("anna")[0].item == "a"
    assert session.ledger.last_act("ben")[0].item == "b"
    assert [acts[0].item for acts in session.ledger.history("anna", 9)] == ["a"]
    assert session.ledger.people == ("anna", "ben")


def test_skipping_is_neither_not_knowing_nor_none_of_these(session):
    for item, kind in (("a", "skip"), ("b", "cannot_tell"), ("c", "none_of_these")):
        session.add(kind, item)
    assert [found.kind for found in session.ledger.verdicts()] == ["skip", "cannot_tell", "none_of_these"]
    assert session.ledger.labels() == {}
    assert without_class(session.ledger) == {"b": "cannot_tell", "c": "none_of_these"}


def test_who_skips_leaves_it_to_the_others(session):
    session.add("label", "a", "x", who="ben")
    session.add("skip", "a")
    assert session.ledger.verdict("a").label == "x"
    assert session.ledger.verdict("a").people == 1


def test_most_people_decide_then_the_last_one(session):
    session.add("label", "a", "x")
    session.add("label", "a", "y", who="ben")
    assert session.ledger.verdict("a").label == "y"
    assert not session.ledger.verdict("a").agreed
    assert [event.label for event in session.ledger.disputed()[0]] == ["x", "y"]
    session.add("label", "a", "x", who="eve")
    assert session.ledger.verdict("a").label == "x"


def test_classes_are_added_renamed_and_merged(session):
    session.add("label", "a", "x")
    session.add("add", label="z")
    session.add("label", "b", "z")
    rename = session.add("rename", label="x", into="w")
    session.add("merge", label="z", into="y")
    assert session.ledger.classes == ("w", "y")
    assert session.ledger.labels() == {"a": "w", "b": "y"}
    session.add("undo", label=rename)
    assert session.ledger.classes == ("x", "y")
    assert session.ledger.labels() == {"a": "x", "b": "y"}


def test_a_name_that_was_given_again_means_the_new_class(session):
    session.add("label", "a", "x")
    session.add("rename", label="x", into="w")
    session.add("add", label="x")
    session.add("label", "b", "x")
    assert session.ledger.labels() == {"a": "w", "b": "x"}
    assert session.ledger.name_today("x") == "w"


def test_purposes_are_apart(session):
    session.add("label", "a", "x")
    session.add("label", "a", "y", purpose="audit:1")
    assert session.ledger.labels() == {"a": "x"}
    assert session.ledger.labels("audit:1") == {"a": "y"}
    assert session.ledger.verdict("a", "audit:2") is None


def test_given_labels_count_until_a_person_says_otherwise(session):
    known = {"a": "x", "b": "x", "c": "x"}
    session.add("label", "a", "y", purpose="check")
    session.add("none_of_these", "b")
    session.add("label", "d", "y", purpose="audit:1")
    assert labels_of(session.ledger, known) == {"a": "y", "c": "x"}
    session.add("rename", label="x", into="w")
    assert labels_of(session.ledger, known) == {"a": "y", "c": "w"}


def test_a_comment_is_no_answer(session):
    session.add("comment", "a", comment="blurred")
    assert session.ledger.comment("a") == "blurred"
    assert session.ledger.verdict("a") is None


def test_time_is_the_median_of_the_last_answers():
    assert seconds_an_answer([]) is None
    events = [Event(str(n), "anna", "label", seconds=s) for n, s in enumerate((90.0, 1.0, 2.0, 0.0, 3.0))]
    assert seconds_an_answer(events, newest=4) == 2.0


steps = st.lists(
    st.tuples(
        st.sampled_from(["label", "skip", "undo", "rename"]), st.sampled_from("abc"), st.sampled_from("xyz")
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps)
def test_events_in_parts_give_what_they_give_at_once(taken):
    """A ledger that follows a store step by step says what one says that reads the whole store later."""
    session, events, acts = Session("xyz"), [], []
    for number, (kind, item, label) in enumerate(taken, 1):
        target = label if kind != "undo" else (acts.pop() if acts else "nothing")
        into = f"{label}{number}" if kind == "rename" else ""
        event = Event(
            f"act{number}",
            "anna",
            kind,
            item if kind in ("label", "skip") else "",
            target,
            into,
            number=number,
        )
        events.append(event)
        acts += [event.act] * (kind != "undo")
        session.ledger.add([event])
        session.ledger.verdicts(), session.ledger.classes  # fills what is remembered between steps
    whole = Ledger("xyz")
    whole.add(events)
    assert whole.verdicts() == session.ledger.verdicts()
    assert whole.classes == session.ledger.classes
