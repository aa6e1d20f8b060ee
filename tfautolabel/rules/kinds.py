"""The kinds of rules that a file can hold: each makes a test of examples from a line."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfautolabel.data.label_texts import label_text
from tfautolabel.data.tables.text_file import open_text
from tfautolabel.rules.contract import Part, RuleFailure
from tfautolabel.rules.known import DURATION, FOLDER, LENGTH, NAME, SIZE, known_of
from tfautolabel.rules.search_pattern import Joined, SearchPattern
from tfautolabel.rules.words import Terms, fold, folded, name_words

TEXT = "text"
"""The field of rules that look at the input itself."""
MEASURES = (SIZE, DURATION, LENGTH)

Answers = Sequence[bool | RuleFailure | None] | np.ndarray
Test = Callable[[Part], Answers]
"""From a part to an answer for each of its examples; None and False are no vote. An array is of bool only."""


class Line(NamedTuple):
    """One rule as it is written.

    Attributes:
        label: the class.
        pattern: what is looked for.
        kind: a key of `KINDS`.
        field: what is looked at; "" for what is usual for the kind.
        name: the rule's name; "" for none.
        place: such as "rules.csv: line 3".
        folder: where the file of rules is.
    """

    label: str
    pattern: str
    kind: str
    field: str
    name: str
    place: str
    folder: str


def _terms(line: Line) -> Test:
    return TermTest(line, line.pattern.split("|"))


def _list(line: Line) -> Test:
    path = os.path.join(line.folder, os.path.expanduser(line.pattern))
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{line.place}: a rule of kind 'list' names a text file with a term in each line, beside the "
            f"file of rules. Received: {line.pattern!r}, and there is no file {path!r}"
        )
    text = open_text(path)
    with open(text.path, encoding="utf-8-sig", errors="replace") as file:
        terms = file.read().split("\n")
    return TermTest(line, terms)


class TermTest:
    """Whether one of some terms stands in a text.

    Attributes:
        terms: the terms.
    """

    def __init__(self, line: Line, written: Sequence[str]) -> None:
        self.terms = Terms(written)
        self._line = line
        if not self.terms.terms:
            raise ValueError(f"{line.place}: there must be a term to look for. Received: {line.pattern!r}")

    def __call__(self, part: Part) -> Answers:
        """See `Test`."""
        stands_in, line = self.terms.stands_in, self._line
        texts = _prepared(part, ("folded", line.field), lambda: _each(folded, _texts(part, line)))
        if None not in texts:
            return np.fromiter(map(stands_in, texts), bool, len(texts))
        return [None if text is None else stands_in(text) for text in texts]


class PatternTest:
    """Whether a regular expression is found in a text."""

    def __init__(self, line: Line) -> None:
        self._line = line
        try:
            self._pattern = SearchPattern(line.pattern)
        except ValueError as error:
            raise ValueError(
                f"{line.place}: the pattern of kind 'regex' must be a regular expression, as in Python "
                f"({error}). Received: {line.pattern!r}"
            ) from error

    def __call__(self, part: Part) -> Answers:
        """See `Test`."""
        line, pattern = self._line, self._pattern
        texts = _prepared(part, ("texts", line.field), lambda: _texts(part, line))
        if None in texts:
            rows = [row for row, text in enumerate(texts) if text is not None]
            answers: list[bool | RuleFailure | None] = [None] * len(texts)
            some = [text for text in texts if text is not None]
            found = pattern.found_in(some, Joined(some))
            for row, answer in zip(rows, found if isinstance(found, list) else found.tolist(), strict=True):
                answers[row] = answer
            return answers
        joined = _prepared(part, ("joined", line.field), lambda: Joined(texts))
        return pattern.found_in(texts, joined)


def _name(line: Line) -> Test:
    terms = Terms(name_words(term) for term in line.pattern.split("|"))
    if not terms.terms:
        raise ValueError(
            f"{line.place}: a rule of kind 'name' looks for words of file names, which have letters only. "
            f"Received: {line.pattern!r}"
        )

    def test(part: Part) -> Answers:
        names = _prepared(
            part,
            ("name words", line.field),
            lambda: _each(lambda name: folded(name_words(name)), _texts(part, line)),
        )
        return [None if name is None else terms.stands_in(name) for name in names]

    return test


def _field(line: Line) -> Test:
    if not line.field:
        raise ValueError(
            f"{line.place}: a rule of kind 'field' says in 'field' which column is to be equal to the "
            "pattern. Received: no field"
        )
    wanted = frozenset(map(_plain, line.pattern.split("|")))

    def test(part: Part) -> Answers:
        values = _prepared(part, ("plain", line.field), lambda: _each(_plain, _texts(part, line)))
        return [value in wanted if value else None for value in values]

    return test


def _bound(line: Line, holds: Callable[[float, float], bool]) -> Test:
    bound = _number(line.pattern)
    if bound is None:
        raise ValueError(
            f"{line.place}: the pattern of kind {line.kind!r} must be a number, such as 3 or 0.5. "
            f"Received: {line.pattern!r}"
        )
    if not line.field:
        raise ValueError(
            f"{line.place}: a rule of kind {line.kind!r} says in 'field' which number is meant: a column of "
            f"the table, or {', '.join(MEASURES)}. Received: no field"
        )

    def answer(value: Any) -> bool | RuleFailure | None:
        text = "" if value is None else str(value).strip()
        if not text or text.casefold() == "nan":
            return None
        number = _number(text)
        if number is None:
            return RuleFailure(f"{line.field} must be a number; it is {text[:40]!r}")
        return holds(number, bound)

    return lambda part: [answer(value) for value in known_of(part, line.field, line.place)]


def _min(line: Line) -> Test:
    return _bound(line, lambda number, bound: number >= bound)


def _max(line: Line) -> Test:
    return _bound(line, lambda number, bound: number <= bound)


KINDS: dict[str, Callable[[Line], Test]] = {
    "keyword": _terms,
    "phrase": _terms,
    "regex": PatternTest,
    "list": _list,
    "name": _name,
    "field": _field,
    "min": _min,
    "max": _max,
}
"""Kind to what makes its test; it raises a `ValueError` that names the line where it cannot."""

USUAL_FIELDS = {"name": NAME, "field": "", "min": "", "max": ""}
"""What a kind looks at without a field; all others look at the text."""


def usual_kind(pattern: str) -> str:
    """Returns the kind of a rule that names none."""
    return "phrase" if len(pattern.split()) > 1 else "keyword"


def _texts(part: Part, line: Line) -> Sequence[str | None]:
    """Returns what a rule looks at, as text; None where there is nothing."""
    if line.field == TEXT:
        if part.examples.modality == "text":
            return part.inputs
        rows = part.rows
        if len(rows) and TEXT not in rows[0]:
            raise ValueError(
                f"{line.place}: a rule of kind {line.kind!r} looks at the text, which examples of the kind "
                f"{part.examples.modality!r} do not have; name a column of the table, {NAME!r} or {FOLDER!r} "
                "in 'field'"
            )
    return [label_text(value) for value in known_of(part, line.field, line.place)]


def _prepared(part: Part, key: Hashable, make: Callable[[], Any]) -> Any:
    """Returns what all rules of a part share."""
    found = part.prepared.get(key)
    if found is None:
        found = part.prepared[key] = make()
    return found


def _each(change: Callable[[str], Any], texts: Sequence[str | None]) -> list[Any]:
    return [None if text is None else change(text) for text in texts]


def _plain(value: str) -> str:
    """Returns a value in one spelling: 3 and 3.0 are equal, and case does not matter."""
    number = _number(value)
    return fold(value) if number is None else f"{number:.15g}"


def _number(text: str) -> float | None:
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
