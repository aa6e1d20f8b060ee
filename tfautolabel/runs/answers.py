"""The answers of people, in answers.sqlite: each is on disk before the next question; none is ever changed.

SQLite keeps the file in WAL mode with `synchronous=FULL` (https://www.sqlite.org/wal.html): an answer that
was acknowledged outlives the death of the process and of the machine, and several processes may write at
once. The table of events only grows; triggers refuse changes. Whoever takes an answer back adds an event
that says so. `tfautolabel.runs.ledger` says what holds after all events.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

KINDS = ("label", "skip", "cannot_tell", "none_of_these", "comment", "undo", "add", "rename", "merge")
"""What an event may be: four kinds of answers, a remark, the undoing of an act, and three changes of
classes."""

ANSWERS = KINDS[:4]
"""The kinds that answer a question."""

PURPOSES = ("teach", "unsure", "check", "audit")
"""Why an example was shown: to learn from it, because a run was unsure of it, because its given label is
probably wrong, or to audit a label of a model."""

LEARNT = PURPOSES[:3]
"""The purposes whose answers become labels to learn from; an audit's answers test what was learnt. An
audit's purpose has the run's id behind it, as in "audit:3f2a": an answer counts for the run that it was
asked for."""

_FORMAT = 1
_BUSY_SECONDS = 30.0


@dataclass(frozen=True)
class Event:
    """One thing that a person did.

    Attributes:
        act: the name of the act that it belongs to; an act is undone as a whole. With the item and the
            kind, it makes an event unique, so that the same event may be sent twice.
        who: the person.
        kind: one of `KINDS`.
        item: the example's id; "" for events about classes and for "undo".
        label: the class that was answered; for "undo" the act that is undone; for "add" the new class; for
            "rename" and "merge" the class that goes away.
        into: the class that "rename" and "merge" lead to.
        seconds: how long the example was shown.
        purpose: one of `PURPOSES`, or one with more behind a colon.
        strategy: how the example was chosen, a key of `QUERY_STRATEGIES`; "" if the person chose it.
        is_random: whether it belongs to the random share.
        guess: the model's label at that time; "" if there was none.
        confidence: the model's confidence in it, in [0, 1].
        guess_shown: whether the person saw the guess before the answer.
        comment: free text.
        at: seconds since 1970, in UTC; set when the event is stored.
        number: the place in the order of all events, from 1; set when the event is stored.
    """

    act: str
    who: str
    kind: str
    item: str = ""
    label: str = ""
    into: str = ""
    seconds: float = 0.0
    purpose: str = "teach"
    strategy: str = ""
    is_random: bool = False
    guess: str = ""
    confidence: float = 0.0
    guess_shown: bool = False
    comment: str = ""
    at: float = 0.0
    number: int = 0


COLUMNS = tuple(field.name for field in fields(Event))
_STORED = COLUMNS[:-1]
_KIND_OF = {"str": "TEXT", "float": "REAL", "bool": "INTEGER", "int": "INTEGER"}

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    {", ".join(f'"{field.name}" {_KIND_OF[str(field.type)]} NOT NULL' for field in fields(Event)[:-1])},
    UNIQUE (act, item, kind)
);
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'answers are never changed'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'answers are never removed'); END;
CREATE TABLE IF NOT EXISTS asked (
    item TEXT PRIMARY KEY, strategy TEXT NOT NULL, is_random INTEGER NOT NULL, at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS leases (
    item TEXT NOT NULL, purpose TEXT NOT NULL, who TEXT NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (item, purpose, who)
);
CREATE TABLE IF NOT EXISTS links (digest TEXT PRIMARY KEY, once INTEGER NOT NULL, who TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Answers:
    """The store of one folder; threads may share it.

    Args:
        file: the database; made if it does not exist.

    Raises:
        ValueError: If the file is no store of answers, or a later version wrote it.
        OSError: If it cannot be opened.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.RLock()
        try:
            self._database = sqlite3.connect(
                file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            with self._transaction():
                for statement in _statements(_SCHEMA):
                    self._database.execute(statement)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise OSError(f"the answers in {file} cannot be opened ({error})") from error
            raise ValueError(f"{file} must be a store of answers. Received: {error}") from error
        found = self.fact("format")
        if found is None:
            self.set_facts({"format": _FORMAT})
        elif found != _FORMAT:
            raise ValueError(f"{file} must have the format {_FORMAT}. Received: format {found}")

    def close(self) -> None:
        """Closes the file; what was added stays."""
        with self._lock:
            self._database.close()

    def add(self, events: Sequence[Event]) -> list[int]:
        """Stores events, all or none; they are on disk when this returns.

        An event that is stored already (the same act, item and kind) is not stored again.

        Args:
            events: events; their `number` is ignored, and so is `at` unless it is more than 0.

        Returns:
            The number of each event, in order.

        Raises:
            ValueError: If an event's kind or purpose is unknown.
            OSError: If they cannot be written.
        """
        for event in events:
            if event.kind not in KINDS or event.purpose.partition(":")[0] not in PURPOSES:
                raise ValueError(
                    f"kind must be one of {', '.join(KINDS)} and purpose one of {', '.join(PURPOSES)}. "
                    f"Received: {event.kind!r} and {event.purpose!r}"
                )
        places = ", ".join("?" * len(_STORED))
        insert = f"INSERT OR IGNORE INTO events ({_named(_STORED)}) VALUES ({places})"  # our names
        find = "SELECT number FROM events WHERE act = ? AND item = ? AND kind = ?"
        now, numbers = time.time(), []
        with self._transaction():
            for event in events:
                values = dict(zip(COLUMNS, astuple(event), strict=True))
                values["at"] = event.at or now
                self._database.execute(insert, [values[name] for name in _STORED])
                row = self._database.execute(find, (event.act, event.item, event.kind)).fetchone()
                numbers.append(int(row[0]))
        return numbers

    def events(self, after: int = 0) -> list[Event]:
        """Returns the events with a number above `after`, in order."""
        query = f"SELECT {_named(COLUMNS)} FROM events WHERE number > ? ORDER BY number"  # our names
        with self._lock:
            rows = self._database.execute(query, (after,)).fetchall()
        return [_event(row) for row in rows]

    def note_asked(self, items: Iterable[str], strategies: Iterable[str], is_random: Iterable[bool]) -> None:
        """Remembers how examples were chosen.

        The first strategy that chose an example counts; it belongs to the random share if any choice says so.
        """
        now = time.time()
        rows = [
            (item, strategy, int(random), now)
            for item, strategy, random in zip(items, strategies, is_random, strict=True)
        ]
        with self._transaction():
            self._database.executemany(
                "INSERT INTO asked VALUES (?, ?, ?, ?) "
                "ON CONFLICT (item) DO UPDATE SET is_random = MAX(is_random, excluded.is_random)",
                rows,
            )

    def asked(self) -> dict[str, tuple[str, bool]]:
        """Returns the strategy that chose each example, and whether it belongs to the random share."""
        with self._lock:
            rows = self._database.execute(
                "SELECT item, strategy, is_random FROM asked ORDER BY rowid"
            ).fetchall()
        return {item: (strategy, bool(random)) for item, strategy, random in rows}

    def lease(
        self, items: Sequence[str], who: str, seconds: float, *, purpose: str, people: int = 1
    ) -> list[str]:
        """Gives examples to a person for some time, so that nobody else gets them.

        Args:
            items: ids.
            who: the person.
            seconds: how long; a lease that the person holds already is made longer.
            purpose: as in `Event`.
            people: how many people may have one example at the same time.

        Returns:
            The items that the person has now; the others belong to other people.
        """
        now, given = time.time(), []
        others = "SELECT COUNT(*) FROM leases WHERE item = ? AND purpose = ? AND who != ? AND until > ?"
        with self._transaction():
            for item in items:
                taken = self._database.execute(others, (item, purpose, who, now)).fetchone()[0]
                if taken < people:
                    self._database.execute(
                        "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)",
                        (item, purpose, who, now + seconds),
                    )
                    given.append(item)
        return given

    def release(self, items: Sequence[str], who: str, *, purpose: str) -> None:
        """Ends a person's leases."""
        with self._transaction():
            self._database.executemany(
                "DELETE FROM leases WHERE item = ? AND purpose = ? AND who = ?",
                [(item, purpose, who) for item in items],
            )

    def leased(self, *, purpose: str) -> dict[str, set[str]]:
        """Returns the people that have each example now."""
        with self._lock:
            rows = self._database.execute(
                "SELECT item, who FROM leases WHERE purpose = ? AND until > ?", (purpose, time.time())
            ).fetchall()
        found: dict[str, set[str]] = {}
        for item, who in rows:
            found.setdefault(item, set()).add(who)
        return found

    def add_link(self, digest: str, *, once: bool, who: str = "") -> None:
        """Stores the digest of a secret that lets a person in, once or always."""
        with self._transaction():
            self._database.execute("INSERT OR REPLACE INTO links VALUES (?, ?, ?)", (digest, int(once), who))

    def use_link(self, digest: str) -> bool:
        """Uses up a secret that works once; returns whether there was one."""
        with self._transaction():
            gone = self._database.execute("DELETE FROM links WHERE digest = ? AND once = 1", (digest,))
            return gone.rowcount == 1

    def person_of(self, digest: str) -> str | None:
        """Returns whose lasting secret it is, "" if the name is not known yet; None if it is nobody's."""
        with self._lock:
            row = self._database.execute(
                "SELECT who FROM links WHERE digest = ? AND once = 0", (digest,)
            ).fetchone()
        return None if row is None else str(row[0])

    def fact(self, name: str) -> Any:
        """Returns a fact about the session, None if it is not known."""
        with self._lock:
            row = self._database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def set_facts(self, facts: dict[str, Any]) -> None:
        """Stores facts about the session, such as where the data is; values are ready for JSON."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                [(name, json.dumps(value, ensure_ascii=False)) for name, value in facts.items()],
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
            except sqlite3.OperationalError as error:
                raise OSError(f"the answers in {self.file} cannot be written ({error})") from error


def _statements(script: str) -> Iterator[str]:
    """Yields the statements of a script one by one: `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _named(columns: Sequence[str]) -> str:
    """Columns for a statement, in quotes: one of them is a word of SQL."""
    return ", ".join(f'"{name}"' for name in columns)


def _event(row: Sequence[Any]) -> Event:
    values = dict(zip(COLUMNS, row, strict=True))
    values["is_random"], values["guess_shown"] = bool(values["is_random"]), bool(values["guess_shown"])
    return Event(**values)
