import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tfautolabel._visible import visible, visible_json

DIRECTIONS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def obeyed(text):
    """Characters that a terminal does not show but acts upon."""
    return [
        character
        for character in text
        if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
        or unicodedata.bidirectional(character) in DIRECTIONS
    ]


@given(st.text(st.characters(codec=None)))
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert obeyed(visible(text)) == []
    assert visible(visible(text)) == visible(text)


def test_every_such_character_becomes_an_escape():
    for number in range(0x110000):
        if obeyed(chr(number)):
            escape = visible(chr(number))
            assert escape.isascii()
            assert escape.startswith("\\")


def test_names_of_all_scripts_stay():
    for name in ("café", "图片", "नमस्ते", "سلام", "👩‍👩‍👧", "a b", "[red]", "\\"):
        assert visible(name) == name


@given(st.dictionaries(st.text(st.characters(codec=None)), st.text(st.characters(codec=None))))
def test_json_keeps_its_values(value):
    for ascii_only in (True, False):
        text = visible_json(json.dumps(value, ensure_ascii=ascii_only, indent=1))
        assert set(obeyed(text)) <= {"\n"}
        assert json.loads(text) == value
