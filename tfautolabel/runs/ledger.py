"""What holds after all events of a store: who answered what, which classes there are, what can be undone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tfautolabel.runs.answers import ANSWERS, LEARNT, Event


@dataclass(frozen=True)
class Verdict:
    """What all people together say about one example.

    Attributes:
        item: the example's id.
        kind: "label", "skip", "cannot_tell" or "none_of_these".
        label: the class; "" unless the kind is "label".
        people: how many people answered it, without those who skipped it.
        agreed: whether they all said the same.
    """

    item: str
    kind: str
    label: str
    people: int
    agreed: bool


class Ledger:
    """Follows a store; `add` takes its events in order.

    Args:
        classes: the classes at the beginning.
    """

    def __init__(self, classes: Iterable[str] = ()) -> None:
        self._first = tuple(classes)
        self._answers: dict[tuple[str, str], dict[str, list[Event]]] = {}
        self._comments: dict[str, list[Event]] = {}
        self._acts: dict[str, list[Event]] = {}
        self._undone: set[str] = set()
        self._undoings: dict[str, str] = {}
        self._changes: list[Event] = []
        self._found: dict[tuple[str, str], Verdict | None] = {}
        self.last = 0

    def add(self, events: Iterable[Event]) -> None:
        """Takes further events, in the order of their numbers."""
        for event in events:
            self.last = max(self.last, event.number)
            if event.kind == "undo":
                self._undone.add(event.label)
                self._undoings[event.act] = event.label
                self._found.clear()
                continue
            self._acts.setdefault(event.act, []).append(event)
            if event.kind in ANSWERS:
                by_person = self._answers.setdefault((event.purpose, event.item), {})
                by_person.setdefault(event.who, []).append(event)
                self._found.pop((event.purpose, event.item), None)
            elif event.kind == "comment":
                self._comments.setdefault(event.item, []).append(event)
            else:
                self._changes.append(event)
                self._found.clear()

    def items(self, purpose: str = "teach") -> list[str]:
        """Returns the ids that have an answer that holds, in the order of their first answers."""
        return [found.item for found in self.verdicts(purpose)]

    def answers(self, item: str, purpose: str = "teach") -> list[Event]:
        """Returns each person's answer about an example that holds now, with today's name of the class."""
        found = []
        for events in self._answers.get((purpose, item), {}).values():
            holding = [event for event in events if event.act not in self._undone]
            if holding:
                found.append(self._today(holding[-1]))
        return sorted(found, key=lambda event: event.number)

    def answer_of(self, who: str, item: str, purpose: str = "teach") -> Event | None:
        """Returns one person's answer about an example that holds now, or None."""
        return next((event for event in self.answers(item, purpose) if event.who == who), None)

    def comment(self, item: str) -> str:
        """Returns the last comment about an example; "" if there is none."""
        holding = [event for event in self._comments.get(item, []) if event.act not in self._undone]
        return holding[-1].comment if holding else ""

    def verdict(self, item: str, purpose: str = "teach") -> Verdict | None:
        """Returns what all people say about an example; None without an answer.

        What most people say counts; of equally many, the last answer. Skipping counts only if nobody said
        more.
        """
        if (purpose, item) not in self._found:
            self._found[purpose, item] = self._verdict(item, purpose)
        return self._found[purpose, item]

    def _verdict(self, item: str, purpose: str) -> Verdict | None:
        answers = self.answers(item, purpose)
        if not answers:
            return None
        said = [event for event in answers if event.kind != "skip"] or answers[-1:]
        votes = Counter((event.kind, event.label) for event in said)
        most = max(votes.values())
        last = next(event for event in reversed(said) if votes[(event.kind, event.label)] == most)
        return Verdict(
            item,
            last.kind,
            last.label,
            sum(event.kind != "skip" for event in answers),
            len(votes) == 1,
        )

    def verdicts(self, purpose: str = "teach") -> list[Verdict]:
        """Returns what people say about each answered example, in the order of their first answers."""
        items = [item for kind, item in self._answers if kind == purpose]
        return [found for item in items if (found := self.verdict(item, purpose)) is not None]

    def labels(self, purpose: str = "teach") -> dict[str, str]:
        """Returns the class of each example that has one."""
        return {found.item: found.label for found in self.verdicts(purpose) if found.kind == "label"}

    def disputed(self, purpose: str = "teach") -> list[list[Event]]:
        """Returns the answers about each example on which people differ."""
        groups = (self.answers(item, purpose) for item in self.items(purpose))
        said = ([event for event in group if event.kind != "skip"] for group in groups)
        return [group for group in said if len({(event.kind, event.label) for event in group}) > 1]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes today: those of the beginning and the added ones, by the names that they have now."""
        names = list(self._first)
        for change in self._changes:
            if change.act in self._undone:
                continue
            if change.kind == "add":
                names += [change.label] * (change.label not in names)
            elif change.label in names:
                at = names.index(change.label)
                names[at : at + 1] = [change.into] * (change.into not in names)
        return tuple(names)

    def last_act(self, who: str) -> list[Event]:
        """Returns the events of a person's last act that is not undone; empty if there is none."""
        for events in reversed(self._acts.values()):
            if events[0].who == who and events[0].act not in self._undone:
                return [self._today(event) for event in events]
        return []

    def has(self, act: str) -> bool:
        """Returns whether an act is stored, undone or not."""
        return act in self._acts

    def undone_by(self, act: str) -> list[Event]:
        """Returns the events that an undoing with this name took back; empty if there was none."""
        return list(self._acts.get(self._undoings.get(act, ""), []))

    def history(self, who: str, n: int) -> list[list[Event]]:
        """Returns a person's last n acts that are not undone, the newest first."""
        own = [
            [self._today(event) for event in events]
            for events in self._acts.values()
            if events[0].who == who and events[0].act not in self._undone
        ]
        return own[::-1][:n]

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who has done something, in the order of their first acts."""
        return tuple(dict.fromkeys(events[0].who for events in self._acts.values()))

    def _today(self, event: Event) -> Event:
        """The same event with the name that its class has today."""
        if event.kind != "label":
            return event
        label = self.name_today(event.label, event.number)
        return event if label == event.label else replace(event, label=label)

    def name_today(self, label: str, number: int = 0) -> str:
        """Returns the name that a class has now.

        Args:
            label: the class as it was called at some time.
            number: the number of an event at that time; 0 for the beginning.
        """
        for change in self._changes:
            if change.number > number and change.act not in self._undone and change.label == label:
                label = change.into if change.kind != "add" else label
        return label


def labels_of(ledger: Ledger, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the class of each labelled example.

    Args:
        ledger: the answers; those of an audit do not count.
        given: id to class, of labels that were there before; they count as far as nobody answered otherwise.
    """
    found = {name: ledger.name_today(label) for name, label in given.items()}
    answered: dict[str, str] = {}
    for purpose in LEARNT:
        answered |= ledger.labels(purpose)
    for item in _no_class(ledger).keys() - answered.keys():
        found.pop(item, None)
    return found | answered


def without_class(ledger: Ledger) -> dict[str, str]:
    """Returns the examples that people gave no class, and whether they cannot tell or found none."""
    answered = {item for purpose in LEARNT for item in ledger.labels(purpose)}
    return {item: kind for item, kind in _no_class(ledger).items() if item not in answered}


def _no_class(ledger: Ledger) -> dict[str, str]:
    return {
        verdict.item: verdict.kind
        for purpose in LEARNT
        for verdict in ledger.verdicts(purpose)
        if verdict.kind in ("cannot_tell", "none_of_these")
    }


def seconds_an_answer(events: Sequence[Event], newest: int = 50) -> float | None:
    """Returns the median time of the newest answers in seconds; None without answers.

    Args:
        events: answers, in order.
        newest: how many of them count.
    """
    times = sorted(event.seconds for event in events[-newest:] if event.seconds > 0)
    return times[len(times) // 2] if times else None
