"""Accents of Latin letters do not count; other letters stay as they are."""

import unicodedata

import pytest

from tfautolabel.data.plain_words import without_accents


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Étiquette", "Etiquette"),
        ("não", "nao"),
        ("ラベルデータ", "ラベルデータ"),
        ("метка", "метка"),
        ("plain", "plain"),
    ],
)
def test_only_latin_letters_lose_their_accents(form, text, plain):
    assert without_accents(unicodedata.normalize(form, text)) == plain
