"""Answers are on disk before anything else happens, and nothing that was answered is ever lost or changed."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading

import pytest

from tfautolabel.runs.answers import Answers, Event


def event(number, **values):
    return Event(
        **{"act": f"act{number}", "who": "anna", "kind": "label", "item": f"i{number}", "label": "x"} | values
    )


@pytest.fixture
def store(tmp_path):
    answers = Answers(tmp_path / "answers.sqlite")
    yield answers
    answers.close()


def test_events_come_back_as_they_were(store):
    given = event(
        1, seconds=1.5, purpose="audit:3f", strategy="margin", is_random=True, guess="y", confidence=0.25,
        guess_shown=True, comment="é\n\x00;'\"", into="z", at=12.5,
    )  # fmt: skip
    assert store.add([given]) == [1]
    assert store.events() == [Event(**(vars(given) | {"number": 1}))]
    assert store.events(after=1) == []


def test_an_event_that_is_sent_twice_is_stored_once(store):
    first = store.add([event(1), event(2)])
    assert store.add([event(2, label="another"), event(3)]) == [first[1], 3]
    assert [found.label for found in store.events()] == ["x", "x", "x"]


def test_events_are_stored_all_or_none(store):
    with pytest.raises(ValueError, match="kind must be one of"):
        store.add([event(1), event(2, kind="guess")])
    with pytest.raises(ValueError, match="purpose one of"):
        store.add([event(1), event(2, purpose="fun")])
    assert store.events() == []


@pytest.mark.parametrize("change", ["UPDATE events SET label = 'y'", "DELETE FROM events"])
def test_no_answer_can_be_changed(store, tmp_path, change):
    store.add([event(1)])
    other = sqlite3.connect(tmp_path / "answers.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="answers are never"):
        other.execute(change)
    other.close()
    assert [found.label for found in store.events()] == ["x"]


def test_the_file_is_written_through(store):
    database = store._database
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_two_stores_write_at_once_without_loss(store, tmp_path):
    other = Answers(tmp_path / "answers.sqlite")

    def write(answers, first):
        for number in range(first, first + 60):
            answers.add([event(number)])

    threads = [threading.Thread(target=write, args=pair) for pair in ((store, 0), (other, 100), (other, 200))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {found.item for found in store.events()} == {
        f"i{n}" for first in (0, 100, 200) for n in range(first, first + 60)
    }
    assert [found.number for found in other.events()] == list(range(1, 181))
    other.close()


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tfautolabel.runs.answers import Answers, Event
    answers = Answers(Path(sys.argv[1]))
    for number in range(100_000):
        answers.add([Event(f"{sys.argv[2]}-{number}", "anna", "label", f"i{number}", "x")])
        print(number, flush=True)
    """
)


def test_every_acknowledged_answer_outlives_a_kill(tmp_path):
    file = tmp_path / "answers.sqlite"
    acknowledged = []
    for life in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(file), str(life)], stdout=subprocess.PIPE, text=True
        )
        acknowledged += [f"{life}-{process.stdout.readline().strip()}" for _ in range(5 + 7 * life)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
        acknowledged += [f"{life}-{number}" for number in rest]
        process.wait()
    store = Answers(file)
    assert {*acknowledged} <= {found.act for found in store.events()}
    assert store._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_how_examples_were_chosen_is_remembered(store):
    store.note_asked(["a", "b"], ["margin", "random"], [False, True])
    store.note_asked(["a", "b"], ["random", "margin"], [True, False])
    assert store.asked() == {"a": ("margin", True), "b": ("random", True)}


def test_nobody_gets_what_another_has(store, monkeypatch):
    assert store.lease(["a", "b"], "anna", 60, purpose="teach") == ["a", "b"]
    assert store.lease(["a", "b", "c"], "ben", 60, purpose="teach") == ["c"]
    assert store.lease(["a"], "ben", 60, purpose="audit") == ["a"]
    assert store.lease(["a"], "ben", 60, purpose="teach", people=2) == ["a"]
    store.release(["b"], "anna", purpose="teach")
    assert store.lease(["b"], "ben", 60, purpose="teach") == ["b"]
    assert store.leased(purpose="teach") == {"a": {"anna", "ben"}, "b": {"ben"}, "c": {"ben"}}
    late = __import__("time").time() + 61
    monkeypatch.setattr("tfautolabel.runs.answers.time.time", lambda: late)
    assert store.leased(purpose="teach") == {}
    assert store.lease(["c"], "anna", 60, purpose="teach") == ["c"]


def test_a_link_works_once(store):
    store.add_link("d1", once=True)
    assert store.use_link("d1")
    assert not store.use_link("d1")
    assert not store.use_link("other")
    store.add_link("d2", once=False)
    assert store.person_of("d2") == ""
    assert store.person_of("d1") is None
    store.add_link("d2", once=False, who="anna")
    assert store.person_of("d2") == "anna"
    assert not store.use_link("d2")


def test_facts_are_kept(store, tmp_path):
    store.set_facts({"session": {"data": "é", "classes": ["a"]}})
    other = Answers(tmp_path / "answers.sqlite")
    assert other.fact("session") == {"data": "é", "classes": ["a"]}
    assert other.fact("none") is None
    other.close()


def test_another_file_is_refused(tmp_path):
    file = tmp_path / "answers.sqlite"
    file.write_text("id,label\n" * 200)
    with pytest.raises(ValueError, match="must be a store of answers"):
        Answers(file)
    assert file.read_text().startswith("id,label")
    with pytest.raises(OSError, match="cannot be opened"):
        Answers(tmp_path / "none" / "answers.sqlite")


def test_a_later_format_is_refused(store, tmp_path):
    store.set_facts({"format": 2})
    with pytest.raises(ValueError, match="must have the format 1"):
        Answers(tmp_path / "answers.sqlite")
