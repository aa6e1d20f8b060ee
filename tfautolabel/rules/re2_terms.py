"""Terms as expressions of RE2, which find in a text as it is what `Terms` finds in the folded one.

RE2 cannot fold a text. So the expression lists, for each sign of a folded term, what folds to it: other case,
other Unicode forms (é as one character or as two, in any order of the marks), ligatures, curly apostrophes.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from tfautolabel.rules.re2_characters import Runs, all_characters, char_class, none_of, runs_of, union
from tfautolabel.rules.words import is_word, words_of

MAX_TERMS = 5_000
"""A graph looks for so many terms of a rule at most."""
_TERMS_AT_ONCE = 250
"""RE2 slows down, and complains, where an expression is much larger."""
_MAX_MARKS = 3
_MAX_TOGETHER = 12


class NotInRe2(Exception):  # noqa: N818 - names what was found, as a reason for people
    """A rule cannot be written as an expression of RE2. The message says why."""


def terms_in_re2(terms: Sequence[str]) -> tuple[str, ...]:
    """Writes terms as expressions; a text holds one of the terms where one of the expressions is found.

    Args:
        terms: folded, as `Terms.terms` has them.

    Raises:
        NotInRe2: If this is not possible.
    """
    if len(terms) > MAX_TERMS:
        raise NotInRe2(f"it looks for {len(terms):,} terms, and a graph for {MAX_TERMS:,} at most")
    by_ends = defaultdict(list)
    for term in terms:
        by_ends[_ends(term)].append(_spelled(term))
    return tuple(
        f"{before}(?:{'|'.join(some)}){after}"
        for (before, after), spelled in by_ends.items()
        for some in _groups(spelled)
    )


def _groups(spelled: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(spelled), _TERMS_AT_ONCE):
        yield spelled[start : start + _TERMS_AT_ONCE]


class _Folding(NamedTuple):
    """How single characters fold.

    Attributes:
        sources: a decomposed folded string to the characters that fold to it.
        longest: the longest such string.
        before: characters that end with a sign of a word, when folded.
        after: characters that begin with one.
        composed: mark to the characters that are no sign of a word together with it.
        second: characters that can become one with the character before.
    """

    sources: dict[str, list[str]]
    longest: int
    before: Runs
    after: Runs
    composed: dict[str, list[str]]
    second: frozenset[str]


@lru_cache(maxsize=1)
def _folding() -> _Folding:
    characters = [one for one in all_characters() if _is_in_terms(one)]
    folded = _at_once(characters)
    apart = unicodedata.normalize("NFD", "\0".join(folded)).split("\0")
    words = frozenset("".join(words_of("\0".join(folded))))
    sources = defaultdict(list)
    for one, parts in zip(characters, apart, strict=True):
        sources[parts].append(one)
    composed, second = defaultdict(list), set()
    for one in characters:
        pair = unicodedata.decomposition(one).split()
        if len(pair) == 2 and not pair[0].startswith("<"):
            base, mark = (chr(int(point, 16)) for point in pair)
            if unicodedata.normalize("NFC", base + mark) == one:
                second.add(mark)
                if is_word(mark) and not is_word(one):
                    composed[mark].append(base)
    # What folds to itself, among it what only one of the two tables of Unicode knows.
    others = set(_known_words()) - set(characters)
    pairs = [*zip(characters, folded, strict=True), *((one, one) for one in others)]
    words |= others
    return _Folding(
        dict(sources),
        max(map(len, sources)),
        runs_of(one for one, whole in pairs if whole[-1] in words),
        runs_of(one for one, whole in pairs if whole[0] in words),
        dict(composed),
        frozenset(second),
    )


def _known_words() -> str:
    return "".join(words_of(all_characters()))


def _is_in_terms(character: str) -> bool:
    # Nothing folds a character without a meaning of its own.
    return unicodedata.category(character) not in ("Cn", "Co", "Cs") and not (
        character.isspace() or character == "\0"
    )


def _at_once(characters: list[str]) -> list[str]:
    """Folds each of some characters, none of which is NUL or white space, in one pass."""
    whole = unicodedata.normalize("NFC", unicodedata.normalize("NFC", "\0".join(characters)).casefold())
    return whole.replace("\u2019", "'").split("\0")


@lru_cache(maxsize=1)
def _space() -> str:
    return char_class(one for one in all_characters() if one.isspace()) + "+"


@lru_cache(maxsize=1)
def _marks() -> dict[str, int]:
    """Returns the marks that Unicode orders, and their places in that order."""
    return {one: place for one in all_characters() if (place := unicodedata.combining(one))}


@lru_cache(maxsize=1)
def _loose_marks() -> frozenset[str]:
    """Returns the marks that are no signs of words, such as the tones of Thai."""
    return frozenset(one for one in _marks() if not is_word(one))


@lru_cache(maxsize=1)
def _border_before() -> str:
    known, loose = _folding(), _loose_marks()
    pairs = "".join(f"|{char_class(bases)}{char_class(mark)}" for mark, bases in known.composed.items())
    # Behind other marks, a loose one may come to stand before them when the text is folded.
    behind = rf"(?:\A|{none_of(_marks())}){char_class(loose)}+"
    return rf"(?:\A|{none_of(union(known.before, runs_of(loose)))}|{behind}{pairs})"


@lru_cache(maxsize=256)
def _border_after(mark: str) -> str:
    """Returns what may follow a term of which the last sign is of a word; and is a mark, or "".

    A mark that is put before this one, when the text is folded, parts the term.
    """
    before = {one for one, place in _marks().items() if place < _marks()[mark]} if mark else set()
    loose = _loose_marks() - before
    refused = union(_folding().after, runs_of(before | loose))
    behind = rf"{char_class(loose)}+(?:{none_of(_marks())}|\z)"
    return rf"(?:{none_of(refused)}|\z|{behind})"


@lru_cache(maxsize=256)
def _loose_after(sign: str) -> str:
    """Returns what may follow a term of which the last sign is not of a word, as this one."""
    # What would make another character of it, or be put before it.
    changing = {one for one in _folding().second if unicodedata.normalize("NFC", sign + one) != sign + one}
    if sign in _marks():
        changing |= {one for one, place in _marks().items() if place < _marks()[sign]}
    if not changing:
        return ""
    others = _marks().keys() - changing
    return rf"{char_class(others)}*(?:{none_of(changing | others)}|\z)"


def _ends(term: str) -> tuple[str, str]:
    """Returns what must stand before and after a term."""
    for piece in term.split(" "):
        if unicodedata.category(piece[0]).startswith("M"):
            raise NotInRe2(f"its term {term!r} has a mark where a sign with marks begins")
    before = _border_before() if is_word(term[0]) else ""
    last = term[-1]
    if not is_word(last):
        return before, _loose_after(last)
    return before, _border_after(last if last in _marks() else "")


def _spelled(term: str) -> str:
    return _space().join(_piece(unicodedata.normalize("NFD", piece)) for piece in term.split(" "))


def _piece(apart: str) -> str:
    """Writes all spellings of a decomposed folded string without white space."""
    known = _folding()
    spellings: dict[tuple[int, int], set[str]] = defaultdict(set)
    for start in range(len(apart)):
        for end in range(start + 1, min(start + known.longest, len(apart)) + 1):
            if found := known.sources.get(apart[start:end]):
                spellings[start, end].update(found)
    for start, end in _marked(apart):
        spellings[start, end].update(_orders(apart[start], apart[start + 1 : end]))
    cuts = [
        place for place in range(len(apart) + 1) if not any(start < place < end for start, end in spellings)
    ]
    parts = []
    for start, end in itertools.pairwise(cuts):
        if end - start > _MAX_TOGETHER:
            raise NotInRe2(f"its term {apart!r} has too many spellings")
        parts.append(_between(spellings, start, end))
    return "".join(parts)


def _between(spellings: dict[tuple[int, int], set[str]], start: int, end: int) -> str:
    ways = []
    for (first, last), found in sorted(spellings.items()):
        if first == start and last <= end and found:
            rest = "" if last == end else _between(spellings, last, end)
            one = char_class(one for one in found if len(one) == 1) if any(map(_single, found)) else ""
            several = ["".join(map(char_class, one)) for one in sorted(found) if len(one) > 1]
            ways += [way + rest for way in ([one] if one else []) + several]
    if not ways:
        raise NotInRe2("a sign of its terms is in no text")
    return ways[0] if len(ways) == 1 else f"(?:{'|'.join(ways)})"


def _single(spelling: str) -> bool:
    return len(spelling) == 1


def _marked(apart: str) -> list[tuple[int, int]]:
    """Returns where a sign with several marks begins and ends."""
    found, start = [], 0
    for place in range(1, len(apart) + 1):
        if place == len(apart) or not unicodedata.combining(apart[place]):
            if place - start > 2:
                found.append((start, place))
            start = place
    return found


def _orders(base: str, marks: str) -> set[str]:
    """Returns the spellings of a sign with several marks in which these stand in another order."""
    if len(marks) > _MAX_MARKS:
        raise NotInRe2(f"a sign of its term has more than {_MAX_MARKS} marks: {base + marks!r}")
    sources = _folding().sources
    found: set[str] = set()
    for order in set(itertools.permutations(marks)):
        apart = base + "".join(order)
        if unicodedata.normalize("NFD", apart) != base + marks:
            continue
        found.update(_splits(apart, sources))
    return found


def _splits(apart: str, sources: dict[str, list[str]]) -> list[str]:
    if not apart:
        return [""]
    found = []
    for end in range(1, len(apart) + 1):
        # In another order the parts of one character may stand in another order too.
        key = unicodedata.normalize("NFD", apart[:end])
        for one in sources.get(key, []) if key == apart[:end] else []:
            found += [one + rest for rest in _splits(apart[end:], sources)]
    return found
