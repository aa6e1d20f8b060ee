"""Texts that are hard to treat alike: other spellings of what a rule looks for, and what stands beside it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import regex

from tfautolabel.rules.files import FileRule
from tfautolabel.rules.kinds import TermTest

_NEIGHBOURS = (
    "x", "É", "e\u0301", "\u0301", "_", "1", "٣", "-", ".", " ", "\n", "\u00a0", "\u200b", "'", "\u2019",
    "\u02bc", "ß", "ª", "お", "が", "か\u3099", "=\u0338", "好", "ก", "한", "\u1112\u1161\u11ab", "🙂", "\0",
    "\ufdd0", "\u0345",
)  # fmt: skip
"""What stands before or behind: signs of a word, marks, scripts without spaces, and other signs."""
_SWAPS = (
    ("s", "\u017f"), ("k", "\u212a"), ("i", "\u0130"), ("i", "\u0131"), ("ss", "ß"), ("fi", "\ufb01"),
    ("ff", "\ufb00"), ("st", "\ufb06"), ("'", "\u2019"), (" ", "\u3000\n"), ("å", "\u212b"), ("μ", "\u00b5"),
)  # fmt: skip
"""Signs and others that are equal to them, or only look so."""
PLAIN = ("", " ", "\n", "a", "e\u0301\n", "\ufeff", "\0", "ﬁn", "İstanbul", "ς Σ σ", "ᾳ α\u0345", "Việt Nam")
MAX_FOUND = 4
"""So many places of a rule's own are tried in all ways."""
_SECONDS = 0.1
_MAX_LENGTH = 200


def terms_looked_for(rule: FileRule) -> tuple[str, ...]:
    """Returns the first terms of a rule; none for a regular expression."""
    return rule.test.terms.terms[:MAX_FOUND] if isinstance(rule.test, TermTest) else ()


def awkward_texts(rule: FileRule, texts: Sequence[str]) -> Iterator[str]:
    """Yields texts in which what a rule finds is spelt otherwise, or stands beside something else.

    Args:
        rule: a rule on texts.
        texts: where a regular expression is looked for.
    """
    yield from PLAIN
    for found in terms_looked_for(rule) or _places(rule.line.pattern, texts):
        yield from _spellings(found)
        for one in _NEIGHBOURS:
            yield one + found
            yield found + one
            yield f"a {one}{found}{one} b"


def _spellings(found: str) -> Iterator[str]:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        yield unicodedata.normalize(form, found)
        yield unicodedata.normalize(form, found.upper())
    yield from (
        found.upper(),
        found.title(),
        found.swapcase(),
        found.casefold(),
        f"{found}\n",
        f"\n{found}\r\n",
    )
    yield from (found[1:], found[:-1], found + found, f"{found} {found}", f"a{found}a {found}.")
    for old, new in _SWAPS:
        if old in found.casefold():
            yield found.casefold().replace(old, new)
            yield found.casefold().replace(old, new, 1)


def _places(pattern: str, texts: Sequence[str]) -> Iterator[str]:
    compiled = regex.compile(pattern, regex.IGNORECASE | regex.VERSION0)
    seen: set[str] = set()
    for text in texts:
        try:
            found = compiled.search(text, timeout=_SECONDS)
        except TimeoutError:
            return
        if found is not None and found[0] not in seen and len(found[0]) <= _MAX_LENGTH:
            seen.add(found[0])
            yield found[0]
        if len(seen) >= MAX_FOUND:
            return
