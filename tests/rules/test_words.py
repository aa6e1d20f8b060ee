import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.rules.words import Terms, fold, folded, name_words, words_of

SIGNS = st.text(st.sampled_from("aAbB9_ .-'+\t\n好的ßéе\u0301"), max_size=12)


@pytest.mark.parametrize(
    ("term", "text", "stands"),
    [
        ("great", "GREAT!", True),
        ("great", "greatest", False),
        ("great", "great_film", False),
        ("10", "100 of 10", True),
        ("10", "100", False),
        ("10/10", "It is 10/10.", True),
        ("waste of money", "a waste\n of \u00a0 money", True),
        ("waste of money", "waste of moneys", False),
        ("don't", "I don\u2019t", True),
        ("C++", "in c++20", True),
        ("C++", "objc++", False),
        (":)", "fine:)", True),
        ("café", "the CAFE\u0301", True),
        ("cafe", "the café", False),
        ("straße", "Hauptstraße STRASSE", True),
        ("лучший", "Самый ЛУЧШИЙ!", True),
        ("лучший", "лучшийся", False),
        ("很好", "我觉得很好吃", True),
        ("很 好", "很好", False),
        ("おいしい", "とてもおいしいです", True),
        ("ラーメン", "ラーメン屋", True),
        ("ดี", "มันดีมาก", True),
        ("great", "真great好", True),
        ("e", "e\u0323\u0301x e\u0323", False),
        ("हिन्दी", "यह हिन्दी है", True),
        ("हिन्द", "यह हिन्दी है", False),
    ],
)
def test_terms_are_whole_words_in_any_spelling(term, text, stands):
    assert Terms([term]).stands_in(folded(text)) is stands
    # Among many others, which are looked for in another way.
    many = Terms([*(f"{sign}{number}x" for number in range(99) for sign in ("zz", "?", "q r ", "字")), term])
    assert many.stands_in(folded(text)) is stands


def stands_plainly(term, text):
    """The same by one regular expression, without an index."""
    term, text = fold(term), fold(text)
    places = [found.start() for found in re.finditer(f"(?={re.escape(term)})", text)] if term else []
    whole = {
        (found.start(), found.end()) for word in set(words_of(text)) for found in re.finditer(word, text)
    }
    spans = [
        span for span in whole if not any(a <= span[0] and span[1] <= b and (a, b) != span for a, b in whole)
    ]
    inside = {place for start, end in spans for place in range(start + 1, end)}
    return any(place not in inside and place + len(term) not in inside for place in places)


@given(st.lists(SIGNS, max_size=4), SIGNS)
@settings(max_examples=400)
def test_the_index_finds_what_looking_everywhere_finds(terms, text):
    assert Terms(terms).stands_in(folded(text)) == any(stands_plainly(term, text) for term in terms)


@given(st.text(max_size=20))
@settings(max_examples=300)
def test_folding_is_done_once(text):
    assert fold(fold(text)) == fold(text)
    assert Terms([text]).stands_in(folded(text.upper().lower())) or not fold(text) or not text.isascii()


def test_words_of_names():
    assert name_words("photos/Red-car_007.JPG") == "photos red car jpg"
    assert name_words("0012") == ""


def test_tens_of_thousands_of_terms_do_not_look_one_by_one(monkeypatch):
    looked = []
    import tfautolabel.rules.words as words

    own = words._stands
    monkeypatch.setattr(words, "_stands", lambda term, text: looked.append(term) or own(term, text))
    rng = random.Random(0)
    terms = Terms([f"the {rng.choice('abcdefgh')}{number} of it" for number in range(50_000)])
    texts = [folded(f"the film of it number {number}") for number in range(200)]
    assert not any(terms.stands_in(text) for text in texts)
    assert len(looked) == 0
    assert terms.stands_in(folded(f"so the{terms.terms[7].removeprefix('the')}."))
    assert len(looked) == 1
