"""What the page may ask of a session: plain values in, plain values out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tfautolabel.data import ReadFailure
from tfautolabel.review.background import Background
from tfautolabel.review.finding import Finder, text_of
from tfautolabel.review.material import key_of
from tfautolabel.review.session import TEACH, Review, Shown
from tfautolabel.runs.answers import Event

MOST = 60
"""The most examples in one answer: a grid."""
LONGEST_TEXT = 200_000
LONGEST_NAME = 200
UNREADABLE_SHOWN = 50
"""The most unreadable examples that the page names; it says how many more there are."""


class Desk:
    """Answers the page's questions; every method takes the person and the body of a request.

    Args:
        review: the session.
        background: learns and labels meanwhile.
        finder: finds examples.
        invite: makes an address for another person.
    """

    def __init__(
        self, review: Review, background: Background, finder: Finder, invite: Callable[[], str]
    ) -> None:
        self._review, self._background, self._finder, self._invite = review, background, finder, invite
        self.calls: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
            "session": self.session,
            "next": self.next,
            "answers": self.answers,
            "undo": self.undo,
            "history": self.history,
            "items": self.items,
            "search": self.search,
            "groups": self.groups,
            "grid": self.grid,
            "classes": self.classes,
            "invite": self.invite,
            "finish": self.finish,
            "status": self.status,
        }

    def session(self, who: str, _: dict[str, Any]) -> dict[str, Any]:
        """The session as a page needs it to begin."""
        review = self._review
        status = self.status()
        return {
            "id": key_of(str(review.answers.file.resolve())),
            "title": review.material.title,
            "modality": review.material.dataset.modality,
            "who": who,
            "others": [name for name in review.ledger.people if name != who],
            "modes": [{"name": mode, "left": review.left(who, mode)} for mode in review.modes],
            "classes": status["classes"],
            "status": status,
            "unreadable": {
                "count": len(review.material.unreadable),
                "first": [one._asdict() for one in review.material.unreadable[:UNREADABLE_SHOWN]],
            },
        }

    def next(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """The next examples."""
        mode, review = _text(body, "mode", TEACH), self._review
        have = [str(ticket) for ticket in _list(body, "have")]
        shown = review.take(who, _number(body, "n", 1), mode=mode, have=have)
        left = review.left(who, mode)
        why = ""
        if not shown and not have:
            why = "Everything here is answered, or with somebody else." if left else "Everything is answered."
        return {"items": self._items(shown), "left": left, "why": why}

    def answers(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Stores answers."""
        events, tickets = [], []
        for entry in _list(body, "events"):
            if not isinstance(entry, Mapping):
                raise ValueError(f"an event is an object. Received: {_shown(entry)}")
            tickets.append(_text(entry, "ticket"))
            events.append(
                self._review.event(
                    who,
                    tickets[-1],
                    _text(entry, "label", "") if entry.get("kind", "label") == "label" else "",
                    _text(entry, "kind", "label"),
                    _text(entry, "act"),
                    min(max(float(entry.get("seconds") or 0.0), 0.0), 86_400.0),
                    entry.get("guess_shown") is True,
                    _text(entry, "comment", "")[:LONGEST_TEXT],
                )
            )
        self._review.store(events)
        self._background.wake()
        return {"saved": tickets, "status": self.status()}

    def undo(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Takes the person's last act back."""
        events = self._review.undo(who, _text(body, "act", ""))
        self._background.wake()
        undone = None
        if events:
            undone = {"act": events[0].act, "items": self._of_events(who, events), "what": _what(events)}
        return {"undone": undone, "status": self.status()}

    def history(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """The person's last acts."""
        acts = self._review.ledger.history(who, min(_number(body, "n", 50), 1000))
        return {
            "acts": [
                {
                    "act": events[0].act,
                    "at": datetime.fromtimestamp(events[0].at, UTC).isoformat(timespec="seconds"),
                    "what": _what(events),
                    "items": [
                        {"id": event.item, "kind": event.kind, "label": event.label, "comment": event.comment}
                        for event in events
                    ],
                }
                for events in acts
            ]
        }

    def items(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Examples by their ids."""
        row_of = self._review.material.row_of
        rows = [row_of[name] for name in map(str, _list(body, "ids")) if name in row_of][:MOST]
        return {"items": self._items(self._review.show(who, rows, _text(body, "mode", TEACH)))}

    def search(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Examples that hold a text, or that are like another one."""
        n = min(_number(body, "n", MOST), MOST)
        if body.get("like") is not None:
            row = self._review.material.row_of.get(_text(body, "like"))
            if row is None:
                raise ValueError(f"there is no such example. Received: {_shown(body['like'])}")
            rows = self._finder.like(row, n)
        else:
            rows = self._finder.by_text(_text(body, "text"), n)
        return {"items": self._items(self._review.show(who, rows))}

    def groups(self, who: str, _: dict[str, Any]) -> dict[str, Any]:
        """The groups that a grid can show."""
        return {
            "groups": [
                {"key": group.key, "kind": group.kind, "name": group.name, "size": len(group.rows)}
                for group in self._finder.groups(self._review.lesson, self._review.closed(who))
            ]
        }

    def grid(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Examples of one group, leased to the person."""
        wanted, n = _text(body, "group"), min(_number(body, "n", MOST), MOST)
        for group in self._finder.groups(self._review.lesson, self._review.closed(who)):
            if group.key == wanted:
                rows = self._review.reserve(who, group.rows[:n].tolist())
                return {"items": self._items(self._review.show(who, rows)), "label": group.label or None}
        return {"items": [], "label": None}

    def classes(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        """Changes the classes."""
        act = _text(body, "act")
        if body.get("add") is not None:
            self._review.change_classes(who, "add", _text(body, "add")[:LONGEST_NAME], act=act)
        else:
            kind = "merge" if body.get("merge") is not None else "rename"
            names = [str(name)[:LONGEST_NAME] for name in _list(body, kind)]
            if len(names) != 2:
                raise ValueError(f"{kind} takes two names. Received: {_shown(names)}")
            self._review.change_classes(who, kind, *names, act=act)
        self._background.wake()
        return self.session(who, {})

    def invite(self, *_: Any) -> dict[str, Any]:
        """A link for another person."""
        return {"address": self._invite()}

    def finish(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        """Labels the whole pool, or certifies by the audit's answers."""
        self._background.finish(_text(body, "mode", TEACH))
        return {"status": self.status()}

    def status(self, *_: Any) -> dict[str, Any]:
        """How far the work is."""
        return self._review.status().to_dict() | self._background.to_dict()

    def _of_events(self, who: str, events: Iterable[Event]) -> list[dict[str, Any]]:
        modes = {self._review.mode_of(event.purpose): event for event in events if event.item}
        found: list[Shown] = []
        for mode in modes:
            rows = [
                self._review.material.row_of[event.item]
                for event in events
                if event.item in self._review.material.row_of and self._review.mode_of(event.purpose) == mode
            ]
            found += self._review.show(who, rows[:MOST], mode)
        items, said = self._items(found), {event.item: event for event in events if event.kind != "comment"}
        for item in items:
            # What was taken back, so that a person sees what to change.
            if (event := said.get(item["id"])) is not None:
                item["answer"] = {"kind": event.kind, "label": event.label, "comment": event.comment}
        return items

    def _items(self, shown: list[Shown]) -> list[dict[str, Any]]:
        dataset = self._review.material.dataset
        texts: list[Any] = [None] * len(shown)
        if dataset.modality == "text" and shown:
            values = dataset.read(np.array([item.row for item in shown]))
            texts = [
                f"(cannot be read: {value})"
                if isinstance(value, ReadFailure)
                else text_of(value)[:LONGEST_TEXT]
                for value in values
            ]
        return [
            {
                "ticket": item.ticket,
                "id": item.id,
                "text": text,
                "media": None if dataset.modality == "text" else f"/media/{key_of(item.id)}",
                "guess": {"label": item.guess, "confidence": item.confidence} if item.guess else None,
                "given": item.given or None,
                "answer": None
                if item.answer is None
                else {"kind": item.answer.kind, "label": item.answer.label, "comment": item.comment},
            }
            for item, text in zip(shown, texts, strict=True)
        ]


def read_body(content: bytes) -> dict[str, Any]:
    """Returns the object that a body holds; an empty body is an empty object.

    Raises:
        ValueError: If it is no JSON object.
    """
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"a body is a JSON object. Received: {error}") from error
    if not isinstance(body, dict):
        raise ValueError(f"a body is a JSON object. Received: {_shown(body)}")
    return body


def _what(events: list[Event]) -> str:
    first, many = events[0], f"{len(events)} examples" if len(events) > 1 else events[0].item
    if not first.item:
        return f"{first.kind} {first.label} {first.into}".strip()
    return f"{first.label or first.kind.replace('_', ' ')} for {many}"


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise ValueError(f"{name} must be a text. Received: {_shown(value)}")
    return value


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if isinstance(value, str) and value.isdecimal():
        value = int(value[:9])
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0. Received: {_shown(value)}")
    return value


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    value = body.get(name, [])
    if not isinstance(value, list):
        raise ValueError(f"{name} must be a list. Received: {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return repr(value)[:100]
