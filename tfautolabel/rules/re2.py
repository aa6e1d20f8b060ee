"""Rules as expressions of RE2, for a graph of TensorFlow that gives the same votes."""

from __future__ import annotations

from typing import NamedTuple

from tfautolabel.rules.contract import Rule
from tfautolabel.rules.files import FileRule
from tfautolabel.rules.kinds import TEXT, PatternTest, TermTest
from tfautolabel.rules.re2_pattern import pattern_in_re2
from tfautolabel.rules.re2_terms import NotInRe2, terms_in_re2


class Re2Rule(NamedTuple):
    """A rule that a graph can hold.

    Attributes:
        name: the rule's name.
        label: the class that it votes for.
        patterns: it votes where one of these is found in the text.
        marked: whether they are for a text with markers; see `re2_pattern`.
    """

    name: str
    label: str
    patterns: tuple[str, ...]
    marked: bool


def rule_in_re2(rule: Rule) -> Re2Rule:
    """Writes a rule on texts for RE2.

    Args:
        rule: any rule.

    Raises:
        NotInRe2: If this is not possible; the message is the reason.
    """
    if not isinstance(rule, FileRule):
        raise NotInRe2("it is Python code or another model, not a line of a file of rules")
    line = rule.line
    if not isinstance(rule.test, (TermTest, PatternTest)):
        raise NotInRe2(f"its kind is {line.kind!r}: a graph looks at texts only")
    if line.field != TEXT:
        raise NotInRe2(f"it looks at {line.field!r}, which a graph does not get")
    if isinstance(rule.test, TermTest):
        return Re2Rule(rule.name, line.label, terms_in_re2(rule.test.terms.terms), False)
    found = pattern_in_re2(line.pattern)
    return Re2Rule(rule.name, line.label, (found.pattern,), found.marked)
