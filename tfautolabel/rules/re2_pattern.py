r"""Regular expressions of `regex` as expressions of RE2 that are found in the same texts.

RE2 has no border of a word but that of ASCII. So where an expression holds `\b`, it is looked for in a text
with a marker at each border: `\b` becomes the marker, and before each character a marker may stand.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import regex

from tfautolabel.rules.re2_characters import MARKER, char_class, matched_by
from tfautolabel.rules.re2_terms import NotInRe2

MAX_COUNT = 1_000
"""RE2 repeats so often at most."""
MAX_SIZE = 6_000
"""So many ranges of characters an expression has at most: RE2 slows down where there are many more."""
_MAX_DEPTH = 50
_COUNT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")
_GROUP = re.compile(r"\((?:\?:|\?i:|\?P?<[A-Za-z_]\w*>|(?!\?))")
_FLAGS = re.compile(r"\(\?([is]+)\)")
_ONE = re.compile(
    r"\\(?:[wWdDsSatnrfv]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[pP]\{[^}]*\}|[^\w\s])"
)
_POSIX = re.compile(r"\[:\^?\w+:\]")
_SPECIAL = frozenset("\\.^$|?*+()[]{}")
_REASONS = (
    (re.compile(r"\(\?<?[=!]"), "it looks ahead or behind"),
    (re.compile(r"\\[1-9]|\\g|\(\?P="), "it refers back to a group"),
    (re.compile(r"\(\?>|[*+?}]\+"), "it keeps what it matched, as (?>…) and *+ do"),
    (re.compile(r"\(\?(?:\(|R|\d|&)"), "it has conditions or calls itself"),
    (re.compile(r"\\B"), r"it uses \B"),
)
"""What RE2 cannot do, and how it looks."""

_BORDER_TWICE = "it has two places next to each other where a word must end"
_END_EARLIER = "it goes on behind a $"


class Re2Pattern(NamedTuple):
    r"""An expression of RE2.

    Attributes:
        pattern: found in the same texts.
        marked: whether it is for texts with markers.
    """

    pattern: str
    marked: bool


class _Part(NamedTuple):
    """A part of an expression.

    Attributes:
        pattern: in RE2.
        size: its number of ranges of characters.
        nullable: whether it matches without a character.
        starts: whether a border, or the beginning, may come before its first character.
        ends: whether a border may come behind its last character.
        last: whether it may be at the end of the text.
        border: whether it ends with a border in all cases, or is empty behind one.
        once: the same, but not without a character; "" if that is not known.
    """

    pattern: str = ""
    size: int = 0
    nullable: bool = True
    starts: bool = False
    ends: bool = False
    last: bool = False
    border: bool = False
    once: str = ""


def pattern_in_re2(pattern: str) -> Re2Pattern:
    r"""Writes an expression for RE2.

    Args:
        pattern: as `SearchPattern` takes it; case does not matter.

    Raises:
        NotInRe2: If this is not possible.

    Examples:
        >>> pattern_in_re2("a?1").pattern
        '(?:[\\x{41}\\x{61}])?\\x{31}'
    """
    found = _FLAGS.match(pattern)
    flags = regex.IGNORECASE | regex.VERSION0
    if found is not None:
        flags |= regex.DOTALL if "s" in found[1] else 0
    body = pattern[found.end() :] if found is not None else pattern
    reader = _Reader(body, flags, r"\b" in body)
    whole = reader.alternatives(0)
    if reader.place != len(body):
        raise reader.unread()
    if whole.size > MAX_SIZE:
        raise NotInRe2("it is too large for the engine of TensorFlow")
    return Re2Pattern(whole.pattern, reader.marked)


class _Reader:
    def __init__(self, pattern: str, flags: int, marked: bool) -> None:
        self.pattern = pattern
        self.flags = flags
        self.marked = marked
        self.place = 0

    def unread(self) -> NotInRe2:
        """Says what stands at this place."""
        for written, reason in _REASONS:
            if written.search(self.pattern):
                return NotInRe2(reason)
        return NotInRe2(f"it uses {self.pattern[self.place : self.place + 8]!r}")

    def _next(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def alternatives(self, depth: int) -> _Part:
        if depth > _MAX_DEPTH:
            raise NotInRe2(f"its groups lie in each other more than {_MAX_DEPTH} deep")
        parts = [self._sequence(depth)]
        while self._next() == "|":
            self.place += 1
            parts.append(self._sequence(depth))
        if len(parts) == 1:
            return parts[0]
        joined = "|".join(part.pattern for part in parts)
        return _Part(
            f"(?:{joined})",
            sum(part.size for part in parts),
            any(part.nullable for part in parts),
            any(part.starts for part in parts),
            any(part.ends for part in parts),
            any(part.last for part in parts),
        )

    def _sequence(self, depth: int) -> _Part:
        parts: list[_Part] = []
        while self._next() not in ("", "|", ")"):
            part = self._repeated(self._single(depth))
            if part.border and parts and parts[-1].border:
                continue  # the same border once more
            if part.border and len(parts) > 1 and parts[-2].border and parts[-1].once:
                # The part between may be empty: then both are the same border.
                between = parts.pop()
                part = between._replace(
                    pattern=f"(?:{between.once}{part.pattern})?", ends=True, border=True, once=""
                )
            parts.append(part)
        whole = _Part()
        for part in parts:
            whole = _behind(whole, part)
        return whole

    def _single(self, depth: int) -> _Part:
        sign = self._next()
        if sign == "(":
            begin = _GROUP.match(self.pattern, self.place)
            if begin is None:
                raise self.unread()
            self.place = begin.end()
            inner = self.alternatives(depth + 1)
            if self._next() != ")":
                raise self.unread()
            self.place += 1
            return inner._replace(pattern=f"(?:{inner.pattern})", border=False, once="")
        if sign == "^":
            self.place += 1
            return _Part(r"\A", starts=True)
        if sign == "$":
            self.place += 1
            # As in Python, also before a line feed that ends the text.
            return _Part(rf"{self._marker()}(?:\n)?\z", last=True)
        if sign == "\\":
            return self._escape()
        if sign == "[":
            return self._characters(self._class())
        if sign != "." and sign in _SPECIAL:
            raise self.unread()
        self.place += 1
        return self._characters("." if sign == "." else regex.escape(sign))

    def _escape(self) -> _Part:
        sign = self.pattern[self.place + 1 : self.place + 2]
        if sign == "b":
            self.place += 2
            return _Part(char_class(MARKER), starts=True, ends=True, border=True)
        if sign == "A":
            self.place += 2
            return _Part(r"\A", starts=True)
        if sign == "Z":
            self.place += 2
            return _Part(rf"{self._marker()}\z", last=True)
        one = _ONE.match(self.pattern, self.place)
        if one is None:
            raise self.unread()
        self.place = one.end()
        return self._characters(one[0])

    def _class(self) -> str:
        """Reads a set of characters as it is written."""
        start = self.place
        self.place += 1
        self.place += self._next() == "^"
        first = True
        while (sign := self._next()) != "]" or first:
            if not sign:
                raise self.unread()
            posix = _POSIX.match(self.pattern, self.place)
            if posix is not None:
                self.place = posix.end()
            else:
                self.place += 2 if sign == "\\" else 1
            first = False
        self.place += 1
        return self.pattern[start : self.place]

    def _characters(self, written: str) -> _Part:
        try:
            if MARKER in written:
                raise ValueError("no text means anything by it")
            found = matched_by(written, self.flags)
        except (regex.error, ValueError) as error:
            raise NotInRe2(f"it uses {written!r}, which means one thing here and another there") from error
        # The class of a set lists few ranges, or those of all other characters.
        listed = char_class(found)
        return _Part(self._marker() + listed, listed.count(r"\x"), nullable=False)

    def _marker(self) -> str:
        return f"{char_class(MARKER)}?" if self.marked else ""

    def _repeated(self, part: _Part) -> _Part:
        sign = self._next()
        if sign == "{":
            count = _COUNT.match(self.pattern, self.place)
            if count is None:
                raise self.unread()
            self.place = count.end()
            least = int(count[1])
            most = least if count[2] is None else None if not count[3] else int(count[3])
        elif sign and sign in "*+?":
            self.place += 1
            least, most = int(sign == "+"), 1 if sign == "?" else None
        else:
            return part
        if self._next() == "?":  # what is taken first does not matter
            self.place += 1
        if self._next() in ("*", "+", "?", "{"):
            raise self.unread()
        if max(least, most or 0) > MAX_COUNT:
            raise NotInRe2(f"it repeats more than {MAX_COUNT:,} times")
        if most != 1 and part.starts and part.ends:
            raise NotInRe2(_BORDER_TWICE)
        if part.last and most != 1:
            raise NotInRe2(_END_EARLIER)
        counted = f"{{{least},{'' if most is None else most}}}"
        how = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most), counted)
        once = ""
        if least == 0 and not (part.nullable or part.starts or part.ends or part.last):
            once = f"(?:{part.pattern})" + ("+" if most is None else f"{{1,{most}}}")
        return part._replace(
            pattern=f"(?:{part.pattern}){how}",
            border=False,
            once=once,
            size=part.size * max(least, most or 0, 1),
            nullable=part.nullable or least == 0,
        )


def _behind(first: _Part, second: _Part) -> _Part:
    """Puts one part behind another one."""
    if first.ends and second.starts:
        raise NotInRe2(_BORDER_TWICE)
    if first.last:
        raise NotInRe2(_END_EARLIER)
    return _Part(
        first.pattern + second.pattern,
        first.size + second.size,
        first.nullable and second.nullable,
        first.starts or (first.nullable and second.starts),
        second.ends or (second.nullable and first.ends),
        second.last,
    )
