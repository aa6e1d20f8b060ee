"""Rules as expressions of RE2: TensorFlow finds with them what Python finds."""

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel import Dataset
from tfautolabel.export.rules_in_graph import RuleGraph
from tfautolabel.rules import cast_votes
from tfautolabel.rules.files import FileRule
from tfautolabel.rules.kinds import Line
from tfautolabel.rules.re2 import rule_in_re2
from tfautolabel.rules.re2_terms import MAX_TERMS, NotInRe2

SIGNS = "aAbsSß_1 \n-'\u2019éÉe\u0301\u0323ệkK\u212aiİıﬁσςお\u3099が好한\u1112\u1161\u11abก=\u0338≠\u0345ᾳ"
SIGNS += "\ufdd0\0٣ª."
LETTERS = "aAsßéeiİﬁkKσおが好'.=ệ한"


def rule(pattern, kind="keyword", field="text"):
    return FileRule(Line("yes", pattern, kind, field, "rule", "rules.csv: line 2", "."))


def of_python(one, texts):
    votes = cast_votes([one], Dataset.from_inputs(texts, modality="text"), ["yes", "no"], progress=False)
    return (votes.matrix[:, 0] == 0).tolist()


def of_graph(one, texts):
    graph = RuleGraph((rule_in_re2(one),), (0,))
    return (graph(tf.constant([text.encode() for text in texts], tf.string)).numpy()[:, 0] == 0).tolist()


def check(one, texts):
    assert of_graph(one, texts) == of_python(one, texts)


@settings(deadline=None, max_examples=60)
@given(
    st.text(LETTERS, min_size=1, max_size=4),
    st.lists(st.text(SIGNS, max_size=9), max_size=20),
)
def test_terms_are_found_as_in_python(term, texts):
    if not term.strip():
        return
    around = [f"{before}{form}{after}" for before in ("", "x", " ", "お") for form in (term, term.upper())
              for after in ("", "\u0301", "1", "-")]  # fmt: skip
    check(rule(term), [*texts, *around])


ATOMS = (
    "a",
    "S",
    r"\w",
    r"\d",
    r"\s",
    ".",
    "[a-kß]",
    "[^a]",
    r"\W",
    "é",
    "ı",
    "(?:ab|k)",
    "-",
    r"\p{Lu}",
    r"\p{L}",
    "(a|)",
)
COUNTS = ("", "", "", "*", "+", "?", "{1,2}", "*?", "{2}")


@st.composite
def patterns(draw):
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        parts.append(draw(st.sampled_from(("", "", r"\b", "(?:^| )"))))
        parts.append(draw(st.sampled_from(ATOMS)) + draw(st.sampled_from(COUNTS)))
    parts.append(draw(st.sampled_from(("", r"\b", "$", r"\Z", r"(?:\s|$)", r".*\bs"))))
    return "".join(parts)


@settings(deadline=None, max_examples=80)
@given(patterns(), st.lists(st.text(SIGNS, max_size=9), min_size=1, max_size=40))
def test_expressions_are_found_as_in_python(pattern, texts):
    one = rule(pattern, "regex")
    try:
        rule_in_re2(one)
    except NotInRe2:
        return
    check(one, [*texts, *(text + "\n" for text in texts)])


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"\bgood\b", ["good", "goodé", "a good\n", "GOOD.", "_good", "good好"]),
        (r"\b(is|k\w+)\b.*\bgood$", ["is good", "isgood", "kelvin, so good\n", "is good ", "isn good"]),
        (r"\ba*\bb", ["b", "a b", "ab", "aab", " b"]),
        (r"(?i)^ok$", ["ok", "OK\n", "ok\n\n", "a ok"]),
        (r"(?s)a.b", ["a\nb", "ab", "axb"]),
        (r"(a+)+$", ["aaaa", "aaab", "b"]),
        (r"[]a]x|[[:digit:]]y", ["]x", "ax", "4y", "x"]),
    ],
)
def test_an_expression_is_found_as_in_python(pattern, texts):
    check(rule(pattern, "regex"), texts)
    assert any(of_graph(rule(pattern, "regex"), texts))


@pytest.mark.parametrize(
    ("pattern", "kind", "field", "reason"),
    [
        ("(?<=a)b", "regex", "text", "ahead or behind"),
        ("a(?!b)", "regex", "text", "ahead or behind"),
        (r"(a)\1", "regex", "text", "refers back"),
        ("(?>a)b", "regex", "text", "keeps what it matched"),
        ("a++b", "regex", "text", "keeps what it matched"),
        (r"a\Bb", "regex", "text", r"\B"),
        ("(?:colour){e<=1}", "regex", "text", "it uses"),
        ("(?m)^a", "regex", "text", "it uses"),
        ("a$b", "regex", "text", "behind a $"),
        (r"a{1001}", "regex", "text", "more than 1,000 times"),
        (r"\w{900}", "regex", "text", "too large"),
        (r"(\ba?)\b", "regex", "text", "two places"),
        (r"\p{Lu}", "regex", "text", "here and another there"),
        ("red", "name", "name", "looks at texts only"),
        ("3", "min", "length", "looks at texts only"),
        ("red", "keyword", "colour", "'colour'"),
        ("|".join(f"t{number}" for number in range(MAX_TERMS + 1)), "keyword", "text", "5,001 terms"),
        ("\u0301a", "keyword", "text", "has a mark where"),
    ],
)
def test_what_cannot_go_in_says_why(pattern, kind, field, reason):
    with pytest.raises(NotInRe2, match=reason.replace("\\", "\\\\").replace("$", r"\$")):
        rule_in_re2(rule(pattern, kind, field))


@pytest.mark.parametrize(
    ("term", "texts"),
    [
        ("a\u0327", ["a\u0327\u0e48", "a\u0327 b", "a\u0327\u0301"]),
        ("<", ["a<b", "<\u0338", "<\u0345\u0338", "<\u0345"]),
        ("ss", ["SS\u0e48\u0307", "ß\u0e48", "ss\u0e48x", "ß\u0e48\n"]),
        ("a", ["\u0e48\u05b7a", "x\u0e48a", "ก\u0e48a", "か\u3099a", "\u0327\u0e48a", "=\u0338a"]),
    ],
)
def test_marks_that_unicode_puts_in_another_order(term, texts):
    found = of_graph(rule(term), texts)
    # Marks of two scripts on one sign may hide a term from the graph, and never show one that is not there.
    assert all(python or not graph for python, graph in zip(of_python(rule(term), texts), found, strict=True))
    assert any(found)
    check(rule(term), [text for text in texts if text != "\u0e48\u05b7a"])


def test_a_long_list_of_terms():
    one = rule("|".join(f"term{number} c" for number in range(1_000)))
    assert len(rule_in_re2(one).patterns) == 4
    check(one, ["a TERM7  c", "term7 cc", "term999\tc", "xterm1 c"])


def test_what_is_no_utf8_has_no_vote_and_a_byte_order_mark_does_not_count():
    graph = RuleGraph((rule_in_re2(rule("^a", "regex")),), (1,))
    assert graph(tf.constant([b"a\xff", b"\xef\xbb\xbfa", b"a"])).numpy().tolist() == [[-1], [1], [1]]
