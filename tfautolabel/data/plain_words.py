"""Compares words as people write them in several languages."""

from __future__ import annotations

import unicodedata


def without_accents(text: str) -> str:
    """Returns text in composed form without the accents of Latin letters; other scripts keep their marks.

    Examples:
        >>> without_accents("\u00c9tiquette"), without_accents("\u30c6\u30ad\u30b9\u30c8 \u30d9")
        ('Etiquette', '\u30c6\u30ad\u30b9\u30c8 \u30d9')
    """
    if text.isascii():
        return text
    composed = unicodedata.normalize("NFC", text)
    return "".join(_without_accent(character) for character in composed)


def _without_accent(character: str) -> str:
    base = unicodedata.normalize("NFD", character)[0]
    return base if base.isascii() and base.isalpha() else character
