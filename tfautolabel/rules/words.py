"""Words of a text, and sets of terms that are looked for as whole words.

Texts and terms are compared folded: case, Unicode form, kind of white space and curly apostrophes do not
matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import regex

_UNSPACED = (
    r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}"
    r"\p{Script=Myanmar}\p{Script=Tibetan}\u30fc"
)
"""Scripts that put no space between words: there a term counts wherever it stands."""

_WORD = regex.compile(rf"[[\p{{L}}\p{{M}}\p{{N}}\p{{Pc}}]--[{_UNSPACED}]]+", regex.VERSION1)
_ASCII_WORD = re.compile(r"\w+", re.ASCII)
_NAME_WORD = regex.compile(r"\p{Lu}?[\p{Ll}\p{M}]+|[\p{L}\p{M}]+", regex.VERSION1)
_FEW = 8
"""So many terms are looked for one by one."""


class Folded(NamedTuple):
    """A text as terms are looked for in it.

    Attributes:
        text: the folded text.
        words: its distinct words.
    """

    text: str
    words: frozenset[str]


def fold(text: str) -> str:
    r"""Returns a text without what does not matter for terms.

    Examples:
        >>> fold("Don\u2019t\n PANIC"), fold("STRASSE") == fold("Straße")
        ("don't panic", True)
    """
    if text.isascii():
        return " ".join(text.lower().split())
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(text.replace("\u2019", "'").split())


def words_of(folded: str) -> list[str]:
    """Returns the words of a folded text, as far as its scripts put something between words.

    Examples:
        >>> words_of("it's a c++ room, 10/10")
        ['it', 's', 'a', 'c', 'room', '10', '10']
    """
    return _ASCII_WORD.findall(folded) if folded.isascii() else _WORD.findall(folded)


def is_word(sign: str) -> bool:
    """Returns whether a character belongs to a word that something stands between and the next one."""
    return _WORD.fullmatch(sign) is not None


def folded(text: str) -> Folded:
    """Folds a text and finds its words."""
    text = fold(text)
    return Folded(text, frozenset(words_of(text)))


def name_words(name: str) -> str:
    """Returns the words of a file's name or a folder's path, with a space between them.

    Everything but letters parts words, and so does a capital after a small letter.

    Examples:
        >>> name_words("IMG_0412-redCar.jpg")
        'img red car jpg'
    """
    return fold(" ".join(_NAME_WORD.findall(unicodedata.normalize("NFC", name))))


class Terms:
    r"""Terms that are looked for as whole words: no letter, digit or low line may stand at their ends.

    A term that begins or ends with another sign, or with a letter of a script that puts no space between
    words (Chinese, Japanese, Thai, …), needs no border there. Tens of thousands of terms take hardly
    longer than one: the words of a text lead to the terms that may be in it.

    Args:
        terms: in any spelling; what is empty when folded is left out.

    Examples:
        >>> terms = Terms(["waste", "of  time", "C++", "很好"])
        >>> [terms.stands_in(folded(text)) for text in ("WASTED", "a waste", "of\ttime", "c++!", "这很好。")]
        [False, True, True, True, True]
    """

    def __init__(self, terms: Iterable[str]) -> None:
        self.terms = tuple(term for term in dict.fromkeys(map(fold, terms)) if term)
        words = {term: words_of(term) for term in self.terms}
        self._single = frozenset(term for term, own in words.items() if own == [term])
        others = [term for term in self.terms if term not in self._single]
        # Under its rarest word: thousands of terms may begin with "the".
        common = Counter(word for term in others for word in set(words[term]))
        by_word = defaultdict(list)
        for term in others:
            if words[term]:
                by_word[min(words[term], key=lambda word: (common[word], -len(word)))].append(term)
        self._by_word = dict(by_word)
        self._keys = frozenset(by_word)
        self._loose = frozenset(term for term in others if not words[term])
        by_first = defaultdict(set)
        for term in self._loose:
            by_first[term[0]].add(len(term))
        self._lengths = {first: sorted(lengths) for first, lengths in by_first.items()}

    def stands_in(self, folded: Folded) -> bool:
        """Returns whether one of the terms stands in a text."""
        if not self._single.isdisjoint(folded.words):
            return True
        if self._keys and not self._keys.isdisjoint(folded.words):
            for word in self._keys & folded.words:
                if any(_stands(term, folded.text) for term in self._by_word[word]):
                    return True
        return bool(self._loose) and self._is_loose_in(folded.text)

    def _is_loose_in(self, text: str) -> bool:
        if len(self._loose) <= _FEW:
            return any(term in text for term in self._loose)
        if self._lengths.keys().isdisjoint(text):
            return False
        return any(
            text[place : place + length] in self._loose
            for place, sign in enumerate(text)
            for length in self._lengths.get(sign, ())
        )


def _stands(term: str, text: str) -> bool:
    """Returns whether a term is in a text with borders at both ends."""
    place = text.find(term)
    while place >= 0:
        end = place + len(term)
        if not (_joined(text[place - 1 : place + 1], place) or _joined(text[end - 1 : end + 1], end)):
            return True
        place = text.find(term, place + 1)
    return False


def _joined(pair: str, place: int) -> bool:
    """Returns whether the signs before and after a place belong to one word."""
    return place > 0 and len(pair) == 2 and _WORD.fullmatch(pair) is not None
