import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel import Dataset, RuleAnalysis
from tfautolabel.rules.analysis import COLUMNS, JUDGED
from tfautolabel.rules.apply import cast_votes
from tfautolabel.rules.counts import RuleCounts
from tfautolabel.rules.functions import labeling_function

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "snorkel_summaries.json").read_text("utf-8"))


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_the_table_is_snorkels(case):
    votes, truth = np.array(case["votes"]), np.array(case["truth"])
    table = RuleAnalysis(votes).summary(truth)
    assert table.columns == (*COLUMNS, *JUDGED)
    for rule, (row, expected) in enumerate(zip(table.rows, case["rows"], strict=True)):
        assert row[:3] == (str(rule), rule, expected[0])
        assert row[3:6] == pytest.approx(expected[1:4])
        assert row[6:8] == tuple(expected[4:6])
        # Snorkel says 0 of a rule without votes.
        assert (0 if math.isnan(row[8]) else row[8]) == pytest.approx(expected[6])
        assert math.isnan(row[8]) == (row[2] == [])
    frame = table.to_pandas()
    assert list(frame.columns) == [*COLUMNS[1:], *JUDGED]
    assert frame.index.name == "rule"


MATRICES = st.integers(1, 5).flatmap(
    lambda rules: st.lists(
        st.lists(st.integers(-1, 3), min_size=rules, max_size=rules), min_size=1, max_size=30
    )
)


@given(MATRICES, st.integers(0, 30), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_parts_add_up_to_the_whole(rows, cut, random):
    votes = np.array(rows, np.int8)
    truth = np.array([random.randint(-1, 3) for _ in rows])
    counts = RuleCounts(votes.shape[1], 4)
    counts.add(votes[:cut], truth[:cut])
    counts.add(votes[cut:], truth[cut:])
    whole = RuleAnalysis(votes, list("abcd"))
    parts = RuleAnalysis(counts, list("abcd"))
    if (truth >= 0).any():
        assert str(parts.summary()) == str(whole.summary(truth))
        assert parts.findings() == whole.findings(truth)
    for rule in range(votes.shape[1]):
        own = votes[:, rule]
        others = np.delete(votes, rule, axis=1)
        voted = own >= 0
        assert counts.overlaps[rule] == (voted & (others >= 0).any(axis=1)).sum()
        differ = ((others >= 0) & (others != own[:, None])).any(axis=1)
        assert counts.conflicts[rule] == (voted & differ).sum()
        assert counts.correct[rule] == (voted & (own == truth)).sum()
        assert counts.incorrect[rule] == (voted & (truth >= 0) & (own != truth)).sum()
        for other in range(votes.shape[1]):
            assert counts.together[rule, other] == (voted & (votes[:, other] >= 0)).sum()
            assert counts.agreed[rule, other] == (voted & (votes[:, other] == own)).sum()


def drawn(seed=0, n=2_000):
    """Votes of five rules on two classes: two good ones a class, and one that will be replaced."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    votes = np.full((n, 5), -1)
    for rule in range(4):
        says = rule % 2
        share = np.where(truth == says, 0.4, 0.08)
        votes[:, rule] = np.where(rng.random(n) < share, says, -1)
    return votes, truth, rng


def findings(votes, truth=None):
    return RuleAnalysis(votes, ["bad", "good"], [*"abcd", "odd"]).findings(truth)


def test_good_rules_are_not_found():
    for seed in range(20):
        votes, truth, rng = drawn(seed)
        votes[:, 4] = np.where(
            rng.random(len(truth)) < 0.3, np.where(rng.random(len(truth)) < 0.7, truth, 1 - truth), -1
        )
        assert findings(votes, truth) == []
        votes[:, 4] = np.where(rng.random(len(truth)) < 0.3, rng.integers(0, 2, len(truth)), -1)
        assert findings(votes, truth) == []


def test_what_is_wrong_with_rules_is_said():
    votes, truth, rng = drawn()
    assert findings(votes) == ["rule 'odd' never votes"]
    votes[:, 4] = votes[:, 1]
    assert findings(votes) == ["rule 'odd' gives the same votes as rule 'b'"]
    votes[:, 4] = np.where(np.arange(len(truth)) < 0.84 * len(truth), 0, -1)
    assert findings(votes)[0] == "rule 'odd' says 'bad' on 84% of all examples"
    votes[:, 4] = np.where(rng.random(len(truth)) < np.where(truth == 0, 0.4, 0.08), 1, -1)
    said = findings(votes, truth)
    assert re.fullmatch(
        r"rule 'odd' agrees with the others less than chance: in \d\d% of common votes, chance is \d\d%",
        said[0],
    )
    assert re.fullmatch(
        r"rule 'odd' is worse than chance on the labels: 1\d% are right, chance is \d\d%", said[1]
    )
    assert len(said) == 2


def test_a_rule_that_is_only_on_the_other_side_agrees_as_chance_has_it():
    # Rules of one class each meet only rules of the other class where both are wrong.
    votes, truth, _ = drawn(3)
    assert not any("less than chance" in sentence for sentence in findings(votes[:, [0, 1, 2, 3, 3]], truth))


def test_votes_of_rules_bring_their_names():
    @labeling_function()
    def late(text):
        return "bad" if "late" in text else None

    votes = cast_votes(
        [late], Dataset.from_inputs(["late", "fine"], modality="text"), ["bad", "good"], progress=False
    )
    analysis = RuleAnalysis(votes)
    assert analysis.summary().rows == (("late", 0, ["bad"], 0.5, 0.0, 0.0),)


def test_the_printed_table_fits_a_terminal():
    votes, truth, _ = drawn()
    table = RuleAnalysis(
        votes, ["negative", "positive"], ["great_words", "love", "recommend", "best", "a" * 60]
    ).summary(truth)
    lines = str(table).splitlines()
    assert max(map(len, lines)) <= 96
    short = str(RuleAnalysis(votes, ["bad", "good"], ["great", "love", "best", "bad", "slow"]).summary(truth))
    assert max(map(len, short.splitlines())) <= 80
    assert "\x1b" not in str(RuleAnalysis(votes[:, :1], ["a", "b"], ["\x1b[31m"]).summary())


def test_refusals():
    with pytest.raises(ValueError, match="votes must be integers of shape"):
        RuleAnalysis(np.zeros(3, int))
    with pytest.raises(ValueError, match=r"votes must lie in \[-1, 1\]"):
        RuleAnalysis(np.array([[2]]), ["a", "b"])
    with pytest.raises(ValueError, match="a name for each of 1 rules"):
        RuleAnalysis(np.array([[0]]), ["a"], ["x", "y"])
    with pytest.raises(ValueError, match="names of rules must be unique"):
        RuleAnalysis(np.array([[0, 0]]), ["a"], ["x", "x"])
    with pytest.raises(ValueError, match="truth must be 1 class ids"):
        RuleAnalysis(np.array([[0]]), ["a"]).summary(np.array([0, 0]))
    with pytest.raises(ValueError, match=r"truth must lie in \[-1, 0\]"):
        RuleAnalysis(np.array([[0]]), ["a"]).summary(np.array([4]))
    with pytest.raises(ValueError, match="counts know it already"):
        RuleAnalysis(RuleCounts(1, 1)).summary(np.array([0]))
    with pytest.raises(ValueError, match="a column for each of the 2 rules"):
        RuleCounts(2, 2).add(np.array([[0]]))


def test_nothing_to_count():
    assert RuleAnalysis(np.zeros((0, 2), int)).findings() == []
    assert [row[3] for row in RuleAnalysis(np.zeros((0, 2), int)).summary().rows] == [0, 0]


def test_a_rule_that_is_left_out_is_not_said_to_be_silent():
    analysis = RuleAnalysis(np.array([[0, -1, -1]]), ["a", "b"], ["one", "slow", "never"])
    said = analysis.findings(left_out=["slow"])
    assert any("'never' never votes" in sentence for sentence in said)
    assert not any("'slow'" in sentence for sentence in said)
