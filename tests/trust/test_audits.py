import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tfautolabel.trust import SequentialAudit, certify_audited, draw_audit
from tfautolabel.trust.audited import reject_in_sequence
from tfautolabel.trust.betting import FRACTIONS, STAKES, log_wealth


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_a_larger_sample_goes_on_where_the_smaller_ended(count, n, seed):
    sample = draw_audit(count, n, seed)
    assert len(sample) == len(set(sample.tolist())) == min(n, count)
    np.testing.assert_array_equal(draw_audit(count, n + 7, seed)[: len(sample)], sample)


def test_every_label_is_drawn_equally_often():
    counts = np.bincount(np.concatenate([draw_audit(20, 5, seed) for seed in range(2000)]), minlength=20)
    assert abs(counts - 500).max() < 5 * np.sqrt(500)


def test_the_stake_is_whole_and_bets_are_fair():
    assert STAKES.sum() == pytest.approx(1.0)
    for share in (0.01, 0.05, 0.3):
        right, wrong = (np.exp(log_wealth(np.array([answer]), np.array([share]))[0, 0]) for answer in (0, 1))
        assert (1 - share) * right + share * wrong == pytest.approx(1.0)
    assert (FRACTIONS < 1).all()


@pytest.mark.parametrize(("target", "fewest"), [(0.05, 59), (0.01, 299), (0.1, 29)])
def test_an_audit_without_errors_is_short(target, fewest):
    audit = SequentialAudit(target)
    needed = audit.expected_more()
    assert fewest <= needed <= 1.1 * fewest
    assert not audit.update([True] * (needed - 1)).reached
    assert audit.expected_more() == 1
    assert audit.update(True).reached
    assert audit.upper_bound <= target


@pytest.mark.parametrize("pool", [None, 700])
def test_stopping_at_the_first_success_is_wrong_no_more_often_than_it_may_be(pool):
    rng = np.random.default_rng(0)
    reached = 0
    for _ in range(1000):
        correct = rng.random(700) >= 0.0501
        if pool:
            correct = np.ones(pool, bool)
            correct[rng.permutation(pool)[:36]] = False
        reached += SequentialAudit(0.05, 0.95, pool).update(correct[:650]).reached
    assert 0 < reached <= binom.ppf(0.999, 1000, 0.05)


@pytest.mark.parametrize("pool", [None, 400])
def test_the_bound_holds_at_all_times_together(pool):
    rng = np.random.default_rng(1)
    missed = 0
    for _ in range(150):
        correct = np.ones(400, bool)
        correct[:40] = False
        answers = rng.permutation(correct)[:200] if pool else rng.random(200) >= 0.1
        missed += SequentialAudit(0.05, 0.9, pool).update(answers).upper_bound < 0.1
    assert missed <= binom.ppf(0.999, 150, 0.1)


def test_the_bound_falls_with_right_answers_and_agrees_with_the_target():
    audit = SequentialAudit(0.2, pool_size=500)
    bounds = [audit.upper_bound]
    for _ in range(6):
        bounds.append(audit.update([True] * 10).upper_bound)
        assert audit.reached == (bounds[-1] <= 0.2)
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == 1.0


def test_looking_at_everything_leaves_only_what_was_found():
    audit = SequentialAudit(0.05, pool_size=50).update([False, *[True] * 49])
    assert audit.upper_bound == 1 / 50
    assert audit.reached
    with pytest.raises(ValueError, match="Received: 51 answers"):
        audit.update(True)


def test_more_errors_than_the_target_are_never_reached():
    audit = SequentialAudit(0.05, pool_size=1000).update([False] * 60)
    assert not audit.update([True] * 940).reached
    assert audit.upper_bound == 0.06


def test_what_is_still_needed_follows_the_errors():
    clean, one = (
        SequentialAudit(0.05).update([True] * 40),
        SequentialAudit(0.05).update([False, *[True] * 39]),
    )
    assert clean.expected_more() < one.expected_more()
    assert SequentialAudit(0.05).update([False] * 3).expected_more() is None
    assert SequentialAudit(0.05).update([True] * 99).expected_more() == 0


def test_answers_one_by_one_are_answers_together():
    answers = np.random.default_rng(2).random(80) > 0.03
    together, single = SequentialAudit(0.1).update(answers), SequentialAudit(0.1)
    for answer in answers:
        single.update(bool(answer))
    assert single.e_value == pytest.approx(together.e_value)
    assert single.p_value == pytest.approx(together.p_value)
    assert single.p_value <= 1 / single.e_value or single.e_value < 1


def test_an_audit_survives_json():
    audit = SequentialAudit(0.05, 0.9, 300).update([True, False, True])
    read = SequentialAudit.from_dict(json.loads(json.dumps(audit.to_dict())))
    assert (read.n, read.errors, read.e_value) == (audit.n, audit.errors, audit.e_value)
    assert read.upper_bound == audit.upper_bound


def test_levels_are_handed_on_by_those_who_pass():
    levels = reject_in_sequence(np.array([0.01, 0.03, 0.06, 0.03]), np.array([0.02, 0.02, 0.0, 0.01]))
    np.testing.assert_allclose(levels, [0.02, 0.04, 0.0, 0.0])


def test_good_labels_are_all_certified_and_bad_ones_raise_the_threshold():
    rng = np.random.default_rng(0)
    scores = rng.random(4000)
    order = draw_audit(4000, 400, seed=1)
    good = certify_audited(scores, np.ones(400, bool), order, target_error=0.05)
    assert (good.coverage, good.errors, good.kind) == (1.0, 0, "certified")
    correct = (scores > 0.4) | (rng.random(4000) > 0.4)
    raised = certify_audited(scores, correct[order], order, target_error=0.05)
    assert 0.3 <= raised.coverage < 1.0
    assert (~correct[raised.accepts(scores)]).mean() <= 0.05
    assert raised.pool_accepted == raised.accepts(scores).sum()


@pytest.mark.parametrize("order", [[0, 0], [0], [0, 1, 2]])
def test_an_order_that_is_none_is_refused(order):
    with pytest.raises(ValueError, match="order must name a different label for each answer"):
        certify_audited(np.ones(2), np.ones(2, bool), np.array(order), target_error=0.05)
