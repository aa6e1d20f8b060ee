"""Sets of characters in the syntax of RE2, the regular expressions that TensorFlow runs.

RE2 knows other tables of Unicode and other rules for case than Python's `regex`. So every set is listed as
the characters that Python finds, and both agree whatever their versions are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import regex

MARKER = "\ufdd0"
"""Stands at each border of a word in a marked text. Unicode reserves it: no text means anything by it."""
UNMARKED = "\ufdd1"
"""Replaces the marker in texts that hold it: it is as meaningless."""

_LAST = 0x10FFFF
_CASED = regex.compile(r"\\[pP]|\[:")
"""What may depend on case."""

Runs = tuple[tuple[int, int], ...]
"""The first and the last code point of each run of characters, ascending."""


@lru_cache(maxsize=1)
def all_characters() -> str:
    """Returns every code point at its own place."""
    return "".join(map(chr, range(_LAST + 1)))


@lru_cache(maxsize=512)
def matched_by(pattern: str, flags: int) -> Runs:
    """Returns the characters that a pattern of one character matches, without the marker.

    Args:
        pattern: in the syntax of `regex`.
        flags: of `regex`.

    Raises:
        ValueError: If `regex` does not match the same characters everywhere: without case it finds some small
            letters as capital ones at the beginning of a pattern, but not further on.
    """
    found = _runs(pattern, flags)
    if _CASED.search(pattern) and found != _runs(f"(?:{MARKER}|){pattern}", flags):
        raise ValueError(f"{pattern!r} does not match the same characters everywhere")
    return found


def _runs(pattern: str, flags: int) -> Runs:
    found = regex.finditer(f"(?:{pattern})+", all_characters(), flags)
    marker = ord(MARKER)
    runs: list[tuple[int, int]] = []
    for start, end in ((one.start(), one.end() - 1) for one in found):
        if start <= marker <= end:
            runs += [run for run in ((start, marker - 1), (marker + 1, end)) if run[0] <= run[1]]
        else:
            runs.append((start, end))
    return tuple(runs)


def runs_of(characters: Iterable[str]) -> Runs:
    """Returns some characters as runs."""
    runs: list[list[int]] = []
    for point in sorted({ord(one) for one in characters}):
        if runs and runs[-1][1] == point - 1:
            runs[-1][1] = point
        else:
            runs.append([point, point])
    return tuple((first, last) for first, last in runs)


def union(first: Runs, second: Runs) -> Runs:
    """Returns the characters that are in one or the other."""
    runs: list[tuple[int, int]] = []
    for start, end in sorted((*first, *second)):
        if runs and start <= runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], max(runs[-1][1], end))
        else:
            runs.append((start, end))
    return tuple(runs)


def char_class(characters: Iterable[str] | Runs) -> str:
    r"""Returns an expression that matches each of some characters, and no other one.

    Examples:
        >>> char_class("a"), char_class("abcx"), char_class("")
        ('\\x{61}', '[\\x{61}-\\x{63}\\x{78}]', '[^\\x{0}-\\x{10ffff}]')
    """
    runs = _as_runs(characters)
    if len(runs) == 1 and runs[0][0] == runs[0][1]:
        return _listed(runs)
    others = _others(runs)
    # The shorter way to say it.
    return f"[^{_listed(others)}]" if not runs or 0 < len(others) < len(runs) else f"[{_listed(runs)}]"


def none_of(characters: Iterable[str] | Runs) -> str:
    """Returns an expression that matches any character but some."""
    return f"[^{_listed(_as_runs(characters))}]"


def _as_runs(characters: Iterable[str] | Runs) -> Runs:
    if isinstance(characters, tuple) and all(isinstance(one, tuple) for one in characters):
        return characters
    return runs_of(characters)  # type: ignore[arg-type]


def _others(runs: Runs) -> Runs:
    ends = [-1, *(last for _, last in runs)]
    starts = [*(first for first, _ in runs), _LAST + 1]
    between = ((end + 1, start - 1) for end, start in zip(ends, starts, strict=True))
    return tuple((first, last) for first, last in between if first <= last)


def _listed(runs: Sequence[tuple[int, int]]) -> str:
    return "".join(_escaped(first) + (f"-{_escaped(last)}" if last > first else "") for first, last in runs)


def _escaped(point: int) -> str:
    return f"\\x{{{point:x}}}"
