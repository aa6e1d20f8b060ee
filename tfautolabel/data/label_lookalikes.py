"""Finds classes that may be the same, or may combine several: they are kept, and a sentence says so."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from html import unescape

KEEP = "label_values='keep' (--label-values keep)"

TRUTH = ("true", "false")

INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Invisible characters: zero-width and no-break spaces, word joiner, soft hyphen, direction marks."""

JOINERS = "\u200c\u200d"

_JOINING = frozenset(("and", "or", "und", "oder", "et", "ou", "y", "o", "e", "en", "of", "и", "или"))

_GROUPS = 3
"""How many groups a sentence names."""

_NUMBER = re.compile(r"[+-]?\d+([.,]\d{1,2}|\.\d+)?(e[+-]?\d{1,2})?")
_LETTERS = str.maketrans("аеорсухіјѕԁԛԝһѵоιορνατκ\u2212", "aeopcyxijsdqwhvoiopvatk-")
"""Small Cyrillic and Greek letters and the minus sign, mapped to the characters that look like them."""


_SIGNS = str.maketrans("\u2010\u2011\u2012\u2013\u2014\u2018\u2019\u02bc\u00b4`", "-----'''''")
"""Kinds of dashes and apostrophes, mapped to the plain ones."""


def lookalikes(totals: Mapping[str, int]) -> list[str]:
    """Returns sentences about likely mistakes in the class names.

    These are classes that differ only in case, width, quotes or marks, in letters that look alike, or in the
    way a number is written; and classes that combine the names of others.

    Args:
        totals: class to its number of rows.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    truth = all(name.casefold() in (*TRUTH, "0", "1") for name in totals)
    for name, count in totals.items():
        groups[_key(name, truth)][name] = count
    found = []
    alike = [group for group in groups.values() if len(group) > 1]
    if alike:
        shown = "; ".join(listed(group, 5) for group in alike[:_GROUPS])
        more = f"; and {len(alike) - _GROUPS} more such groups" if len(alike) > _GROUPS else ""
        found.append(f"classes differ in case or spelling only, and are kept apart: {shown}{more}")
    made = {name: count for name, count in totals.items() if len(_named_in(name)) > 1 and
            all(word in totals for word in _named_in(name))}  # fmt: skip
    if made:
        found.append(f"classes are made of the names of others, and are kept as they are: {listed(made, 5)}")
    return found


def _named_in(name: str) -> list[str]:
    """Returns the words of a name, except those that join two names."""
    return [word for word in name.split() if word.casefold() not in _JOINING]


def listed(counts: Mapping[str, int], shown: int = 8) -> str:
    """Lists spellings with their counts; spellings that look the same are shown by code points."""
    names: Collection[str] = list(counts)
    visible = {
        unicodedata.normalize("NFC", " ".join(INVISIBLE.sub("", name).split()).translate(_LETTERS))
        for name in names
    }
    show = repr if len(visible) == len(names) else ascii
    parts = [f"{show(name)} ({rows(count)})" for name, count in list(counts.items())[:shown]]
    return ", ".join(parts) + (f" and {len(counts) - shown} more" if len(counts) > shown else "")


def rows(count: int) -> str:
    """A number of rows in words."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def _key(name: str, truth: bool) -> str:
    """Returns a key that is equal for names that look alike."""
    folded = (
        unicodedata.normalize("NFKC", unescape(name)).casefold().translate(_SIGNS).replace("i\u0307", "i")
    )
    folded = "".join(c for c in folded if c not in JOINERS)
    if truth and folded in TRUTH:
        return str(float(folded == "true"))
    if _NUMBER.fullmatch(folded.translate(_LETTERS)):
        return str(float(folded.translate(_LETTERS).replace(",", ".")))
    plain = re.sub(r"(?<=\w)[\s_\-.]+(?=\w)", " ", folded.replace("_", " "))
    # A full stop or quotes around a word are dropped; a name of marks only is kept.
    plain = plain.strip().strip(".,;:!'\"`“”„‘’«» ")
    # Only if Latin letters stand beside them: a Russian word stays as it is.
    mixed = plain.translate(_LETTERS)
    return (mixed if re.search("[a-z]", plain) or not re.search("[^\x00-\x7f]", mixed) else plain) or folded
