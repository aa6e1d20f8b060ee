"""The questions of one purpose: which examples a person gets next, so that no two people get the same one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tfautolabel.review.material import Material
from tfautolabel.runs.answers import Answers
from tfautolabel.runs.ledger import Ledger

LEASE_SECONDS = 600.0
"""How long an example stays with a person who gives no sign of life."""

HELD = 4
"""How many questions a page holds at most: enough that the next one shows at once, and few enough that
they come from what was learnt last."""


@dataclass(frozen=True)
class Question:
    """An example to ask about.

    Attributes:
        row: the example's row.
        strategy: how it was chosen.
        given: a label to look at; "" if there is none.
        likelier: a label that is likelier than the given one; "" if there is none.
    """

    row: int
    strategy: str = ""
    given: str = ""
    likelier: str = ""


@dataclass
class Questions:
    """The questions of one purpose, in the order to ask.

    Attributes:
        purpose: as in `tfautolabel.runs.answers.Event`.
        material: the examples.
        answers: the store, which holds the leases.
        ledger: what was answered.
        line: the questions that wait.
        people: how many people are to answer the example of a row.
    """

    purpose: str
    material: Material
    answers: Answers
    ledger: Ledger
    line: list[Question] = field(default_factory=list)
    people: Callable[[int], int] = lambda _: 1

    def take(self, who: str, n: int, have: Iterable[int] = ()) -> list[Question]:
        """Gives a person the next questions and leases them.

        Args:
            who: the person.
            n: how many the person wants to hold in all, with those that the person has.
            have: rows that the person has already; their leases are made longer.
        """
        held = [row for row in have if self._is_open(row, who)]
        self._lease(held, who)
        leased = self.answers.leased(purpose=self.purpose)
        found: list[Question] = []
        for question in self.line:
            if len(held) + len(found) >= n:
                break
            others = leased.get(self.material.ids[question.row], set()) - {who}
            answered = self._people_who_answered(question.row) - {who}
            wanted = self.people(question.row)
            if question.row in held or not self._is_open(question.row, who):
                continue
            if len(others | answered) < wanted and self._lease([question.row], who, wanted - len(answered)):
                found.append(question)
        return found

    def skipped(self, who: str, n: int) -> list[Question]:
        """Leases what was skipped and not answered since, the longest ago first: skipping means not now.

        Args:
            who: the person.
            n: how many at most.
        """
        last = {
            verdict.item: max(event.number for event in self.ledger.answers(verdict.item, self.purpose))
            for verdict in self.ledger.verdicts(self.purpose)
            if verdict.kind == "skip" and verdict.item in self.material.row_of
        }
        known = {question.row: question for question in self.line}
        found: list[Question] = []
        for item in sorted(last, key=last.__getitem__):
            row = self.material.row_of[item]
            if len(found) < n and self._lease([row], who, self.people(row)):
                found.append(known.get(row, Question(row)))
        return found

    def reserve(self, who: str, items: Sequence[str]) -> list[str]:
        """Leases examples of a person's own choice; returns those that nobody else has."""
        return self.answers.lease(items, who, LEASE_SECONDS, purpose=self.purpose)

    def waiting(self, who: str) -> int:
        """Returns how many questions wait that a person may answer."""
        return sum(self._is_open(question.row, who) for question in self.line)

    def clean(self) -> None:
        """Removes questions that were answered by as many people as wanted; skipping is no answer."""
        self.line = [
            question
            for question in self.line
            if len(self._people_who_answered(question.row)) < self.people(question.row)
        ]

    def _is_open(self, row: int, who: str) -> bool:
        answers = self.ledger.answers(self.material.ids[row], self.purpose)
        return all(event.who != who for event in answers) and (
            len(self._people_who_answered(row)) < self.people(row)
        )

    def _people_who_answered(self, row: int) -> set[str]:
        answers = self.ledger.answers(self.material.ids[row], self.purpose)
        return {event.who for event in answers if event.kind != "skip"}

    def _lease(self, rows: Sequence[int], who: str, people: int = 1) -> list[str]:
        if not rows:
            return []
        items = [self.material.ids[row] for row in rows]
        return self.answers.lease(items, who, LEASE_SECONDS, purpose=self.purpose, people=max(people, 1))
