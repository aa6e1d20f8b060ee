import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.rules import search_pattern
from tfautolabel.rules.contract import RuleFailure, RuleStopped
from tfautolabel.rules.pattern_shape import shape_of
from tfautolabel.rules.search_pattern import Joined, SearchPattern


def found(pattern, texts):
    return list(SearchPattern(pattern).found_in(texts, Joined(texts)))


ATOMS = st.sampled_from(
    [
        "a",
        "B",
        "é",
        r"\w",
        r"\s",
        r"\d",
        r"\W",
        r"\S",
        ".",
        "[ab]",
        "[^a]",
        "[a-c ]",
        r"\b",
        "^",
        "$",
        r"\.",
        "-",
        "1",
    ]
)
QUANTITIES = st.sampled_from(["", "", "", "?", "*", "+", "{1,2}", "{2}", "+?", "*?"])


def repeated(pair):
    atom, quantity = pair
    return atom if atom in (r"\b", "^", "$") else atom + quantity


PATTERNS = st.recursive(
    st.lists(st.tuples(ATOMS, QUANTITIES).map(repeated), min_size=1, max_size=3).map("".join),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        inner.map(lambda part: f"(?:{part})?"),
    ),
    max_leaves=5,
)
TEXTS = st.lists(st.text(st.sampled_from("aAbBcéÉ 1.-\n\t\0x"), max_size=8), max_size=6)


@given(PATTERNS, TEXTS)
@settings(max_examples=1_000, deadline=None)
def test_patterns_find_what_python_finds(pattern, texts):
    plain = re.compile(pattern, re.IGNORECASE)
    assert found(pattern, texts) == [plain.search(text) is not None for text in texts]


def test_long_and_many_texts_are_searched_in_blocks(monkeypatch):
    monkeypatch.setattr(search_pattern, "MAX_JOINED", 10)
    texts = ["xa", "", "x" * 30, "b a", "", "a", "A" * 12, "b"]
    assert len(Joined(texts).blocks) > 3
    assert found("a", texts) == ["a" in text.lower() for text in texts]
    assert found(r"x\w", texts) == [re.search(r"x\w", text) is not None for text in texts]


@pytest.mark.parametrize(
    ("pattern", "fast", "joins"),
    [
        ("great", True, True),
        (r"\b(great|refinanc\w*)\b", True, True),
        (r"\$ ?\d|\b(cash|money)\b", True, True),
        (r"works? (great|well)", True, True),
        (r"\[[\w .-]{2,25}\]", True, True),
        (r"opt.?out", True, True),
        (r"^\s*re:", False, False),
        (r"(\w+ )?love", False, True),
        (r"(a+)+$", False, False),
        (r"(a|aa)+b", False, True),
        (r"a*b", False, True),
        (r"x.*\b", False, False),
        (r"(a?){30}b", False, True),
        (r"(a{1,9}){1,9}b", False, True),
        (r"(?<=a)b", False, False),
        (r"(a)\1", False, False),
        (r"[^a]b", True, True),
        (r"a\Z", True, False),
        (r"\b(not|no)\b(\W+\w+){0,2}\W+good\b", False, True),
        (r"a.*b", False, False),
        (r"([^a]{2}){60}b", True, True),
        (r"(a[^b]|c){200}b", False, False),
        (r"\S+!", False, False),
        (r"[\S ]*!", False, False),
        (r"\x00", False, False),
        (r"[\b]", False, False),
    ],
)
def test_shapes(pattern, fast, joins):
    assert shape_of(pattern) == (fast, joins)


@pytest.mark.parametrize("pattern", ["(a+)+$", r"(\w|\w\w)+$", "(.*)*=x$"])
def test_a_pattern_that_takes_too_long_is_given_up(pattern, monkeypatch):
    monkeypatch.setattr(search_pattern, "LIMIT_SECONDS", 0.05)
    rule = SearchPattern(pattern)
    texts = ["aaa=x", "a" * 30_000 + "!=x!", "!", "a" * 40_000 + "!=x!"]
    start = time.monotonic()
    answers = rule.found_in(texts, Joined(texts))
    assert [answers[0], answers[2]] == [re.search(pattern, "aaa=x") is not None, False]
    assert [isinstance(answers[row], RuleFailure) for row in (1, 3)] == [True, True]
    with pytest.raises(RuleStopped, match=r"took more than 0.05 s on 3 examples"):
        rule.found_in(texts, Joined(texts))
    with pytest.raises(RuleStopped):
        rule.found_in(["b"], Joined(["b"]))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(a", "character 3"), ("a**", "character 3"), ("[z-a]", "character"), ("(?P<1>a)", "character")],
)
def test_errors_say_where(pattern, said):
    with pytest.raises(ValueError, match=said):
        SearchPattern(pattern)
