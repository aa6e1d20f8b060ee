"""Guesses the language of texts by script and common words, and finds backbones that know it.

This is enough to notice that a backbone was not trained on such texts. It is not a full language identifier.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from tfautolabel.backbones.packaged import PACKAGED

_SCRIPTS = {
    "Japanese": "\u3040-\u30ff",
    "Korean": "\u1100-\u11ff\uac00-\ud7af",
    "Chinese": "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff",
    "Russian": "\u0400-\u052f",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Thai": "\u0e00-\u0e7f",
    "Hebrew": "\u0590-\u05ff",
    "Greek": "\u0370-\u03ff",
    "Hindi": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Tamil": "\u0b80-\u0bff",
    "Georgian": "\u10a0-\u10ff",
    "Armenian": "\u0530-\u058f",
}
"""Maps the language that represents a script to the script's characters."""

_LETTERS = {name: re.compile(f"[{characters}]") for name, characters in _SCRIPTS.items()}
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_WORD = re.compile(r"[^\W\d_]+")

_COMMON_WORDS = {
    "English": "the and of to is in it that was for on with this are you not have be",
    "German": "der die und das ist nicht ich ein eine zu mit den auf für von dem auch es sich sehr",
    "French": "le les et des est une du pas que je pour dans qui sur ce il vous très avec au",
    "Spanish": "el los y es una que no por con para las lo se muy del como pero más su al",
    "Italian": "il di e che è non per una sono con del della ho mi molto anche gli più questo si",
    "Portuguese": "o os e é que não uma para com em do da um mais muito como mas por ao foi",
    "Dutch": "de het een en van is niet dat ik op te voor met zijn er maar ook aan deze was",
    "Polish": "i w nie na się że to jest z do jak ale co o tak bardzo po za od ten",
    "Turkish": "ve bir bu çok için da de ile ne ama daha gibi var ben kadar olarak en değil mi o",
}
_IN = {name: frozenset(words.split()) for name, words in _COMMON_WORDS.items()}

OFTEN = 0.08
"""A text in Latin letters is in a language if at least this share of its words are common in it."""


def language_of(texts: Iterable[str]) -> str | None:
    """Returns the language of most of the texts.

    Args:
        texts: any number of texts. A few hundred words are enough.

    Returns:
        The name of a language, which may represent others with the same script. None if there is no sign of
        any language.

    Examples:
        >>> language_of(["这家餐馆的服务很好"])
        'Chinese'
        >>> language_of(["Das Paket ist nicht angekommen, und der Service war schlecht."])
        'German'
        >>> language_of(["4711", "XK-2"]) is None
        True
    """
    votes = Counter(_language_of_one(text) for text in texts)
    named = [(count, name) for name, count in votes.items() if name is not None]
    return max(named)[1] if named else None


def _language_of_one(text: str) -> str | None:
    counts = {name: len(letters.findall(text)) for name, letters in _LETTERS.items()}
    # Japanese mixes its own characters with Chinese ones.
    if counts["Japanese"] * 4 > counts["Chinese"] > 0:
        counts["Japanese"] += counts["Chinese"]
    name = max(counts, key=lambda name: counts[name])
    latin = len(_LATIN.findall(text))
    if counts[name] * 2 > latin:
        return name
    words = Counter(_WORD.findall(text.lower()))
    shares = {
        name: sum(words[word] for word in common) / max(words.total(), 1) for name, common in _IN.items()
    }
    best = max(shares, key=lambda name: shares[name])
    runner_up = sorted(shares.values())[-2]
    return best if shares[best] >= OFTEN and shares[best] > runner_up else None


def other_backbones(handle: str, texts: Iterable[str]) -> tuple[str, list[str]] | None:
    """Returns backbones for the texts' language if the given backbone was not trained on it.

    Args:
        handle: the backbone's handle.
        texts: a sample of the texts.

    Returns:
        The language, and the handles of packaged backbones that know it, the best first. None if the backbone
        knows the language or nothing is known.
    """
    prefix, _, name = handle.partition(":")
    if prefix != "packaged" or name not in PACKAGED or not PACKAGED[name].knows:
        return None
    language = language_of(texts)
    if language is None or language in PACKAGED[name].knows:
        return None
    better = [
        f"packaged:{other.name}"
        for other in PACKAGED.values()
        if other.modality == "text" and (not other.knows or language in other.knows)
    ]
    return language, better[::-1]
