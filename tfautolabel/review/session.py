"""A review session: it asks, keeps the answers, learns from them and says how far the labels are.

    next ──► a person ──► answer ──► answers.sqlite
     ▲                                   │
     └── query strategy ◄── head ◄── refit

The page, the command line and notebooks use the same object. Threads may share it.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfautolabel.review.class_changes import class_change
from tfautolabel.review.learner import Learner, Lesson
from tfautolabel.review.material import Material, key_of
from tfautolabel.review.panel import Panel, Status, panel_of
from tfautolabel.review.questions import HELD, Question, Questions
from tfautolabel.review.settings import ReviewSettings
from tfautolabel.review.shown import Shown
from tfautolabel.review.teacher import Teacher
from tfautolabel.runs.answers import ANSWERS, Answers, Event
from tfautolabel.runs.ledger import Ledger, labels_of, without_class

TEACH = "teach"


class Review:
    """A session over one folder of results.

    Args:
        material: the examples, with features.
        answers: the store; what it holds already counts, so that a session goes on where it stopped.
        classes: names of classes, in the order of their keys; those of given labels are added.
        settings: how it asks.
        lists: further purposes, "unsure", "check" and "audit", with their questions in order.

    Attributes:
        lesson: what was learnt last; None before there are two classes with labels.
        problem: a sentence if the last refit failed; "" otherwise.

    Examples:
        A session without a page::

            review = open_review("photos/", "out/", classes=["rust", "clean"])
            while (shown := review.next("anna")) is not None:
                review.answer("anna", shown, label=ask_somebody(shown.id))
            review.status().accuracy
    """

    def __init__(
        self,
        material: Material,
        answers: Answers,
        *,
        classes: Iterable[str] = (),
        settings: ReviewSettings = ReviewSettings(),  # noqa: B008 # frozen
        lists: Mapping[str, Sequence[Question]] | None = None,
    ) -> None:
        settings.check()
        self.material, self.answers, self.settings = material, answers, settings
        given = material.given
        self.ledger = Ledger(dict.fromkeys([*classes, *sorted({*given.values()})]))
        self._given = given
        self._lock = threading.RLock()
        self._fitting = threading.Lock()
        self.lesson: Lesson | None = None
        self.panel = Panel()
        self.problem = ""
        self._teacher = Teacher(material, answers, settings)
        self.learner = Learner(material.features, settings.seed)
        self._questions = {TEACH: Questions(TEACH, material, answers, self.ledger, people=self._people)}
        self.set_lists(lists or {})
        self._fitted_to = -1
        self._shown: dict[tuple[str, str], Shown] = {}
        self._sync()
        self.refit()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes today, in the order of their keys."""
        self._sync()
        return self.ledger.classes

    @property
    def modes(self) -> tuple[str, ...]:
        """What one can do here: "teach", and after a run "unsure", "check" and "audit"."""
        return tuple(self._questions)

    def labels(self) -> dict[str, str]:
        """Returns the class of each labelled example; an answer counts more than a label that was given."""
        self._sync()
        with self._lock:
            return labels_of(self.ledger, self._given)

    def without_class(self) -> dict[str, str]:
        """Returns the examples that people gave no class, with what they said instead of it."""
        self._sync()
        with self._lock:
            return without_class(self.ledger)

    def take(self, who: str, n: int = 1, *, mode: str = TEACH, have: Iterable[str] = ()) -> list[Shown]:
        """Returns the next examples for a person, who holds `HELD` of them at most.

        Args:
            who: the person.
            n: how many.
            mode: one of `modes`.
            have: tickets that the person holds already.
        """
        self._sync()
        with self._lock:
            questions = self._of_mode(mode)
            held = [self.row_of(ticket)[1] for ticket in have]
            wanted = min(len(held) + n, HELD)
            found = questions.take(who, wanted, held)
            if mode == TEACH and len(held) + len(found) < wanted:
                # The head learns in the background; nobody waits for it.
                questions.line += self._teacher.more(self._closed(), wanted)
                found += questions.take(who, wanted, [*held, *(question.row for question in found)])
            if not held and not found:
                found = questions.skipped(who, wanted)
            return [self._show(who, mode, question) for question in found]

    def next(self, who: str = "me", *, mode: str = TEACH) -> Shown | None:
        """Returns the next example for a person; None if nothing is left to ask. It learns again when due."""
        if mode == TEACH and self.is_due:
            self.refit()
        return next(iter(self.take(who, 1, mode=mode)), None)

    def show(self, who: str, rows: Iterable[int], mode: str = TEACH) -> list[Shown]:
        """Returns examples of a person's own choice, such as the results of a search or of the history."""
        self._sync()
        with self._lock:
            listed = {question.row: question for question in self._of_mode(mode).line}
            return [self._show(who, mode, listed.get(row, Question(row))) for row in rows]

    def answer(
        self,
        who: str,
        shown: Shown | str,
        label: str = "",
        *,
        kind: str = "label",
        act: str = "",
        seconds: float = 0.0,
        guess_shown: bool = False,
        comment: str = "",
    ) -> Event:
        """Stores an answer; it is on disk when this returns.

        Args:
            who: the person.
            shown: what `next` returned, or its ticket.
            label: the class; only for the kind "label".
            kind: "label", "skip", "cannot_tell", "none_of_these", or "comment".
            act: a name for what is undone together; a new one by default. The same answer with the same
                name is stored once.
            seconds: how long the person looked.
            guess_shown: whether the person saw the model's guess.
            comment: a remark.

        Raises:
            ValueError: If the label is none of the classes, or the kind or the ticket is unknown.
            OSError: If it cannot be written.
        """
        event = self.event(who, shown, label, kind, act, seconds, guess_shown, comment)
        self.store([event])
        return event

    def event(
        self,
        who: str,
        shown: Shown | str,
        label: str = "",
        kind: str = "label",
        act: str = "",
        seconds: float = 0.0,
        guess_shown: bool = False,
        comment: str = "",
    ) -> Event:
        """Returns what `answer` stores, without storing it."""
        ticket = shown.ticket if isinstance(shown, Shown) else shown
        mode, row = self.row_of(ticket)
        if kind not in (*ANSWERS, "comment"):
            raise ValueError(f"kind must be one of {', '.join(ANSWERS)} or comment. Received: {kind!r}")
        if (kind == "label") != bool(label) or (label and label not in self.classes):
            raise ValueError(
                f"an answer is one of the classes {', '.join(self.classes)}. Received: {label!r}"
            )
        item = self.material.ids[row]
        seen = self._shown.get((who, ticket), Shown(ticket, row, item))
        strategy, is_random = self._teacher.asked.get(item, ("", False))
        if mode != TEACH:
            strategy, is_random = mode, False
        purpose = self._questions[mode].purpose
        return Event(
            act or uuid.uuid4().hex, who, kind, item, label, seconds=seconds, purpose=purpose,
            strategy=strategy, is_random=is_random, guess=seen.guess, confidence=seen.confidence,
            guess_shown=guess_shown, comment=comment,
        )  # fmt: skip

    def store(self, events: Sequence[Event]) -> None:
        """Stores events, all or none; they are on disk when this returns."""
        self.answers.add(events)
        self._sync()
        with self._lock:
            for purpose in {event.purpose for event in events if event.kind in ANSWERS}:
                items = [event.item for event in events if event.purpose == purpose and event.kind in ANSWERS]
                self.answers.release(items, events[0].who, purpose=purpose)
                self._of_mode(purpose.partition(":")[0]).clean()

    def undo(self, who: str, act: str = "") -> list[Event]:
        """Takes back a person's last act that is not undone yet.

        Args:
            who: the person.
            act: a name for this undoing, so that it happens once however often it is asked for.

        Returns:
            The events that were taken back; none if there was nothing left.
        """
        self._sync()
        with self._lock:
            events = self.ledger.undone_by(act) or self.ledger.last_act(who)
            if not events:
                return []
            self.answers.add([Event(act or uuid.uuid4().hex, who, "undo", label=events[0].act)])
            self._sync()
            return events

    def change_classes(self, who: str, kind: str, name: str, into: str = "", *, act: str = "") -> None:
        """Adds, renames or merges a class in the middle of the work.

        Args:
            who: the person.
            kind: "add", "rename" or "merge".
            name: the class to add, or the one that goes away.
            into: its new name, or the class that takes its examples.
            act: as for `answer`.

        Raises:
            ValueError: If a name is empty, or exists where it must not, or does not exist where it must.
        """
        if not (act and self.ledger.has(act)):
            self.store([class_change(self.classes, who, kind, name, into, act)])

    def drawn(self) -> set[str]:
        """Returns the ids of the random sample, answered or not; see `tfautolabel.active.random_sample`."""
        return {self.material.ids[row] for row in self._teacher.sample.tolist()}

    def judging(self) -> set[str]:
        """Returns the ids whose labels tell of the others: the random sample, and labels from before.

        Labels from before count as in `run`, unless they were chosen.
        """
        given = () if self.settings.sampling == "chosen" else self._given
        return self.drawn().union(given)

    def set_lists(self, lists: Mapping[str, Sequence[Question]]) -> None:
        """Replaces the questions about a run by those about another one, by purpose."""
        with self._lock:
            self._questions = {TEACH: self._questions[TEACH]} | {
                purpose.partition(":")[0]: Questions(
                    purpose, self.material, self.answers, self.ledger, list(line)
                )
                for purpose, line in lists.items()
            }

    @property
    def is_due(self) -> bool:
        """Whether enough was answered since the last refit."""
        self._sync()
        return self._changed() >= max(self.settings.batch_size, len(self.ledger.classes))

    def refit(self) -> Lesson | None:
        """Learns from all labels and chooses the next examples to ask; returns what was learnt."""
        with self._fitting:
            self._sync()
            with self._lock:
                labels, classes = self.labels(), self.ledger.classes
                self._fitted_to = self.ledger.last
                rows = np.array(
                    [self.material.row_of[name] for name in labels if name in self.material.row_of], int
                )
                position = {name: number for number, name in enumerate(classes)}
                class_ids = np.array(
                    [position[label] for name, label in labels.items() if name in self.material.row_of], int
                )
                closed, before = self._closed(), self._teacher.chosen_before(rows, self.ledger)
            judging = self.judging()
            is_random = np.array([self.material.ids[row] in judging for row in rows.tolist()], bool)
            lesson = self.learner.learn(rows, class_ids, is_random, classes, before)
            batch = max(self.settings.batch_size, len(classes), 2 * HELD)
            line = self._teacher.choose(rows, closed, lesson, len(classes), batch)
            panel = panel_of(self.panel, lesson, rows, self.settings)
            with self._lock:
                self.lesson, self.panel = lesson, panel
                self._questions[TEACH].line = line
                self._questions[TEACH].clean()
                self.problem = ""
            return lesson

    def status(self) -> Status:
        """Returns how far the work is; see `tfautolabel.review.panel.Status`."""
        self._sync()
        with self._lock:
            return Status.of(
                self.ledger, self.labels(), self.panel, self.settings, len(self.material), self.problem
            )

    def left(self, who: str, mode: str = TEACH) -> int:
        """Returns how many examples are left for a person to answer."""
        self._sync()
        with self._lock:
            if mode != TEACH:
                return self._of_mode(mode).waiting(who)
            return len(self.material) - len({*self.labels(), *self.without_class()})

    def closed(self, who: str) -> np.ndarray:
        """Returns (c,) int64: the rows that are answered already, or with somebody else."""
        self._sync()
        with self._lock:
            leased = self.answers.leased(purpose=TEACH)
            others = {item for item, people in leased.items() if people != {who}}
            return self._rows_of(others.union(self.labels(), self.without_class()))

    def reserve(self, who: str, rows: Sequence[int]) -> list[int]:
        """Leases examples of a person's own choice; returns those that nobody else has."""
        items = [self.material.ids[row] for row in rows]
        return [self.material.row_of[item] for item in self._questions[TEACH].reserve(who, items)]

    def mode_of(self, purpose: str) -> str:
        """Returns the mode that an event belongs to; "teach" for one of another run."""
        mode = purpose.partition(":")[0]
        return mode if mode in self._questions else TEACH

    def row_of(self, ticket: str) -> tuple[str, int]:
        """Returns the purpose and the row that a ticket names.

        Raises:
            ValueError: If there is no such ticket.
        """
        mode, _, key = ticket.partition("-")
        if mode not in self._questions or key not in self.material.keys:
            raise ValueError(f"there is no such question. Received: {ticket[:60]!r}")
        return mode, self.material.keys[key]

    def _show(self, who: str, mode: str, question: Question) -> Shown:
        item, guess, confidence = self.material.ids[question.row], "", 0.0
        if self.lesson is not None:
            chances = self.lesson.probabilities[question.row]
            best = int(chances.argmax())
            guess, confidence = self.ledger.name_today(self.lesson.classes[best]), float(chances[best])
        if question.likelier:
            guess = question.likelier
        given = question.given or (self._given.get(item, "") if mode == "check" else "")
        shown = Shown(
            f"{mode}-{key_of(item)}", question.row, item, guess, confidence, given,
            self.ledger.answer_of(who, item, self._of_mode(mode).purpose), self.ledger.comment(item),
        )  # fmt: skip
        self._shown[who, shown.ticket] = shown
        return shown

    def _of_mode(self, mode: str) -> Questions:
        if mode not in self._questions:
            raise ValueError(f"mode must be one of {', '.join(self._questions)}. Received: {mode!r}")
        return self._questions[mode]

    def _people(self, row: int) -> int:
        """How many people are to answer an example; the same for every process."""
        return 1 + (int(key_of(self.material.ids[row])[:8], 16) < self.settings.overlap * 2**32)

    def _closed(self) -> np.ndarray:
        """Rows that must not be chosen: answered without a class, or with somebody now."""
        unlabelled = (found.item for found in self.ledger.verdicts(TEACH) if found.kind != "label")
        return self._rows_of({*self.answers.leased(purpose=TEACH), *unlabelled, *self.labels()})

    def _rows_of(self, items: Iterable[str]) -> np.ndarray:
        """Ascending rows of the items that are among the examples."""
        row_of = self.material.row_of
        return np.array(sorted(row_of[item] for item in items if item in row_of), np.int64)

    def _changed(self) -> int:
        with self._lock:
            return sum(event.kind != "comment" for event in self.answers.events(self._fitted_to))

    def _sync(self) -> None:
        """Takes what other processes and threads have stored."""
        with self._lock:
            self.ledger.add(self.answers.events(self.ledger.last))
