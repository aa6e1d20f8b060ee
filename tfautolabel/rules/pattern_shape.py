"""Reads regular expressions to tell which ones are plainly fast, and which may run over many texts at once.

Only usual syntax is read. Whatever else a pattern holds, it counts as neither.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

MAX_WAYS = 200
"""A plainly fast pattern can match in at most so many ways at one place."""

MAX_WIDE = 100
"""What matches nearly anything may run on for so many signs where texts are joined."""

_SPECIAL = frozenset("\\.^$|?*+()[]{}")
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_GROUP = re.compile(r"\((?:\?:|\?P<[A-Za-z_]\w*>|(?!\?))")


class Shape(NamedTuple):
    """What is known of a pattern.

    Attributes:
        fast: whether its time grows only with the length of the text.
        joins: whether it may run over texts with a NUL character between them: it does not see where a text
            ends, and hardly runs on into the next one.
    """

    fast: bool
    joins: bool


class _Part(NamedTuple):
    """A part of a pattern.

    Attributes:
        ways: in how many ways it can match at one place.
        free: whether it repeats without limit, so that nothing may follow if it is to be fast.
        border: whether it is a border of a word.
        words: whether it matches letters, digits and low lines only, one at a time.
        wide: whether it matches nearly anything, so that repeated it would run through many texts.
    """

    ways: float = 1
    free: bool = False
    border: bool = False
    words: bool = False
    wide: bool = False


class _Unread(Exception):  # noqa: N818 - tells that a pattern uses more than the usual syntax
    pass


def shape_of(pattern: str) -> Shape:
    r"""Reads a pattern.

    Examples:
        >>> shape_of(r"\b(great|awful\w*)\b"), shape_of(r"(a+)+$")
        (Shape(fast=True, joins=True), Shape(fast=False, joins=False))
    """
    reader = _PatternReader(pattern)
    try:
        whole = reader.alternatives(0)
    except (_Unread, IndexError):
        return Shape(False, False)
    if reader.place != len(pattern):
        return Shape(False, False)
    return Shape(whole.ways <= MAX_WAYS, reader.joins)


class _PatternReader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0
        self.joins = True

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def alternatives(self, depth: int) -> _Part:
        if depth > 50:
            raise _Unread
        parts = [self._sequence(depth)]
        while self._next() == "|":
            self.place += 1
            parts.append(self._sequence(depth))
        free = [part for part in parts if part.free]
        words = bool(free) and all(part.words for part in free)
        wide = any(part.wide for part in parts)
        return _Part(sum(part.ways for part in parts), bool(free), words=words, wide=wide)

    def _sequence(self, depth: int) -> _Part:
        ways, last, wide = 1.0, _Part(), False
        while self._next() not in ("", "|", ")"):
            part = self._repeated(self._single(depth))
            wide = wide or part.wide
            # A border after the last letter of a word holds at once.
            if last.free and not (part.border and last.words):
                return self._rest(depth, wide)
            ways *= part.ways
            last = part if not part.border or not last.free else last
        return _Part(ways, last.free, words=last.words, wide=wide)

    def _rest(self, depth: int, wide: bool) -> _Part:
        """Reads on after something that makes the pattern slow."""
        while self._next() not in ("", "|", ")"):
            wide = self._repeated(self._single(depth)).wide or wide
        return _Part(math.inf, wide=wide)

    def _single(self, depth: int) -> _Part:
        sign = self.pattern[self.place]
        if sign == "(":
            begin = _GROUP.match(self.pattern, self.place)
            if begin is None:
                raise _Unread
            self.place = begin.end()
            inner = self.alternatives(depth + 1)
            if self._next() != ")":
                raise _Unread
            self.place += 1
            return inner
        self.place += 1
        if sign == "[":
            return self._class()
        if sign == "\\":
            return self._escape()
        if sign in "^$":
            self.joins = False
        elif sign != "." and sign in _SPECIAL:
            raise _Unread
        return _Part(wide=sign == ".")

    def _escape(self) -> _Part:
        sign = self.pattern[self.place]
        self.place += 1
        if sign in "BAZ":
            self.joins = False
        elif sign.isalnum() and sign not in "wdsbWDS":
            raise _Unread
        return _Part(border=sign == "b", words=sign == "w", wide=sign in "DS")

    def _class(self) -> _Part:
        negated = self._next() == "^"
        self.place += negated
        first, wide = True, negated
        while (sign := self.pattern[self.place]) != "]" or first:
            self.place += 1
            if sign == "[":
                raise _Unread
            if sign == "\\":
                if self._next() == "b":
                    raise _Unread
                wide = self._escape().wide or wide
            first = False
        self.place += 1
        return _Part(wide=wide)

    def _repeated(self, part: _Part) -> _Part:
        sign = self._next()
        if sign == "{":
            count = _COUNT.match(self.pattern, self.place)
            if count is None:
                raise _Unread
            self.place = count.end()
            least = int(count[1])
            most = least if count[2] is None else math.inf if not count[3] else int(count[3])
        elif sign and sign in "*+?":
            self.place += 1
            least, most = int(sign == "+"), 1 if sign == "?" else math.inf
        else:
            return part
        if self._next() == "?":
            self.place += 1
        if self._next() in ("*", "+", "?", "{"):
            raise _Unread
        if part.border:
            raise _Unread
        if part.wide and most > MAX_WIDE:
            self.joins = False
        if most == math.inf:
            return part._replace(free=True, ways=1 if part.ways == 1 and not part.free else math.inf)
        if part.free and most > 1:
            return _Part(math.inf, wide=part.wide)
        ways = _ways(part.ways, least, int(most))
        return _Part(ways, part.free, wide=part.wide)


def _ways(one: float, least: int, most: int) -> float:
    """Returns in how many ways a part can repeat from `least` to `most` times."""
    total = 0.0
    for times in range(least, most + 1):
        total += one**times if one < 2 or times < 64 else math.inf
        if total > MAX_WAYS:
            return math.inf
    return max(total, 1)
