"""Regular expressions over many texts, with a time limit that holds for every pattern and text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import regex

from tfautolabel.rules.contract import RuleFailure, RuleStopped
from tfautolabel.rules.pattern_shape import shape_of

LIMIT_SECONDS = 1.0
"""A search takes at most so long; usual ones take microseconds."""

MAX_TOO_SLOW = 3
"""After so many searches that take too long, a pattern is given up."""

LONG = 4_000
"""Searches in texts of so many characters let other threads work; in shorter ones that takes longer."""

MAX_JOINED = 1 << 20
"""Characters that are searched at once, at most."""


class Joined:
    """Texts with a NUL character between them, so that one search looks at many.

    Args:
        texts: p texts.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.blocks: list[tuple[str, list[int], int]] = []
        self.count = len(texts)
        first = 0
        while first < len(texts):
            starts, place, row = [], 0, first
            while row < len(texts) and (row == first or place + len(texts[row]) < MAX_JOINED):
                starts.append(place)
                place += len(texts[row]) + 1
                row += 1
            self.blocks.append(("\0".join(texts[first:row]), starts, first))
            first = row


class SearchPattern:
    """A regular expression, as Python's `re.search` understands it, in any case of letters.

    The package `regex` runs it: its searches can be given a time limit.

    Args:
        pattern: the expression.

    Raises:
        ValueError: If it is not a valid one; the message says where it is wrong.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self._compiled = regex.compile(pattern, regex.IGNORECASE | regex.VERSION0)
        except (regex.error, ValueError, OverflowError, RecursionError, IndexError) as error:
            said = getattr(error, "msg", None) or str(error) or type(error).__name__
            place = getattr(error, "pos", None)
            where = "" if place is None else f" at character {place + 1}"
            raise ValueError(f"{said}{where}") from error
        self.shape = shape_of(pattern)
        self._joins = self.shape.joins
        self._too_slow: list[int] = []

    def found_in(self, texts: Sequence[str], joined: Joined) -> list[bool | RuleFailure] | np.ndarray:
        """Looks into some texts.

        Args:
            texts: p texts.
            joined: the same texts.

        Returns:
            p answers; a failure where the search took too long. Without one, they are an array of bool.

        Raises:
            RuleStopped: If too many searches, of this call and earlier ones, took too long.
        """
        self._check()
        if self._joins:
            try:
                return self._of_joined(texts, joined)
            except TimeoutError:
                self._joins = False  # each text gets its own time
        return [self._found(text) for text in texts]

    def _of_joined(self, texts: Sequence[str], joined: Joined) -> list[bool | RuleFailure] | np.ndarray:
        rows: list[int] = []
        failed: dict[int, RuleFailure] = {}
        search = self._compiled.search
        for text, starts, first in joined.blocks:
            place, many = 0, len(text) >= LONG
            while (match := search(text, place, concurrent=many, timeout=LIMIT_SECONDS)) is not None:
                row = bisect_right(starts, match.start())
                own = first + row - 1
                # A match that runs on into the next text may hide a shorter one, or none.
                inside = match.end() <= starts[row - 1] + len(texts[own])
                answer = True if inside else self._found(texts[own])
                if isinstance(answer, RuleFailure):
                    failed[own] = answer
                elif answer:
                    rows.append(own)
                if row == len(starts):
                    break
                place = starts[row]
        found = np.zeros(joined.count, bool)
        found[rows] = True
        if not failed:
            return found
        return [failed.get(row, answer) for row, answer in enumerate(found.tolist())]

    def _found(self, text: str) -> bool | RuleFailure:
        long = len(text) >= LONG
        try:
            if self.shape.fast:
                return self._compiled.search(text, concurrent=long) is not None
            return self._compiled.search(text, concurrent=long, timeout=LIMIT_SECONDS) is not None
        except TimeoutError:
            self._too_slow.append(len(text))
            self._check()
            return RuleFailure(f"the search took more than {LIMIT_SECONDS:g} s")

    def _check(self) -> None:
        if len(self._too_slow) >= MAX_TOO_SLOW:
            raise RuleStopped(
                f"its pattern {self._compiled.pattern!r} took more than {LIMIT_SECONDS:g} s on "
                f"{MAX_TOO_SLOW} examples; repetitions within repetitions, such as (a+)+, take this long"
            )
