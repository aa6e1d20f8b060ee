"""Batches of questions, and the random sample of the pool in them."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from tfautolabel.active import (
    QUERY_STRATEGIES,
    PoolGeometry,
    PoolState,
    batch_size_of,
    draws_after,
    next_batch,
    random_order,
    random_sample,
)

N, K = 200, 3
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, 4)).astype(np.float32)
PROBABILITIES = RNG.dirichlet(np.ones(K), N).astype(np.float32)
GEOMETRY = PoolGeometry(FEATURES)


def state_of(labelled, closed=(), probabilities=PROBABILITIES):
    rows = [np.array(part, np.int64) for part in (labelled, closed)]
    return PoolState(FEATURES, rows[0], probabilities, K, rows[1], GEOMETRY)


def session(batches, n=10, seed=0, **options):
    """Answers some batches; returns them, with all rows that were asked."""
    asked, found = np.zeros(0, np.int64), []
    for _ in range(batches):
        batch = next_batch(state_of(asked), n, seed=seed, **options)
        found.append(batch)
        asked = np.concatenate([asked, batch.rows])
    return found, asked


@pytest.mark.parametrize("strategy", QUERY_STRATEGIES)
def test_a_session_asks_the_whole_pool_once(strategy):
    found, asked = session(21, strategy=strategy)
    assert sorted(asked.tolist()) == list(range(N))
    assert [len(batch.rows) for batch in found] == [10] * 20 + [0]
    for batch in found:
        assert len(batch.reasons) == len(batch.chosen_for) == len(batch.is_random) == len(batch.rows)


def test_the_random_share_is_kept():
    found, asked = session(8)
    order = random_order(N, 0)
    for count, batch in enumerate(found, 1):
        assert batch.drawn == draws_after(10 * count)
        sample = random_sample(order, batch.drawn, asked[: 10 * count])
        assert len(sample.unanswered) == 0
        assert len(sample) == batch.drawn
    marked = np.concatenate([batch.rows[batch.is_random] for batch in found])
    assert np.isin(marked, order[:12]).all()
    assert set(order[:12].tolist()) <= set(asked.tolist())


@pytest.mark.parametrize("n", range(7, 30))
def test_each_batch_of_seven_draws_once_at_least(n):
    draws = [draws_after(n * count) for count in range(12)]
    assert min(np.diff(draws)) >= 1
    assert draws[-1] == np.ceil(round(0.15 * n * 11, 9))


def test_a_row_that_was_asked_before_it_is_drawn_is_in_the_sample_without_a_question():
    order = random_order(N, 0)
    batch = next_batch(state_of(order[:2]), 10, asked=0, seed=0)
    assert batch.drawn == 2
    assert not batch.is_random.any()
    np.testing.assert_array_equal(random_sample(order, batch.drawn, order[:2]).rows, order[:2])


def test_rows_without_an_answer_stay_in_the_sample():
    order = random_order(N, 0)
    state = state_of(order[[0, 2, 50]], closed=order[[1]])
    batch = next_batch(state, 10, asked=10, seed=0)
    assert not np.isin(batch.rows, order[[0, 1, 2, 50]]).any()
    sample = random_sample(order, 3, state.labelled)
    np.testing.assert_array_equal(sample.rows, order[[0, 2]])
    np.testing.assert_array_equal(sample.unanswered, order[[1]])
    assert len(sample) == 3


def test_labels_from_before_make_the_first_batches_random():
    labelled = np.arange(60)
    first = next_batch(state_of(labelled), 10, seed=0)
    assert first.drawn == draws_after(70)
    unknown = np.setdiff1d(random_order(N, 0)[: first.drawn], labelled)
    assert first.is_random.sum() == min(10, len(unknown))
    assert next_batch(state_of(labelled), 10, asked=0, seed=0).is_random.sum() <= 2


@pytest.mark.parametrize("said", [True, False])
def test_the_strategy_does_not_know_that_drawn_rows_have_a_label(said):
    order, seen = random_order(N, 0), []

    def own(state, n, *, seed):
        seen.append(state)
        return QUERY_STRATEGIES["margin"](state, n, seed=seed)

    labelled = order[[0, 1, 60, 61]]
    judging = {"judging": order[:1]} if said else {}
    batch = next_batch(state_of(labelled, order[[70]]), 10, strategy=own, asked=11, seed=0, **judging)
    assert batch.drawn == 4
    known = order[[1, 60, 61]] if said else order[[60, 61]]
    assert set(seen[0].labelled.tolist()) == set(known.tolist())
    assert set(seen[0].closed.tolist()) == {*order[[0, 1, 2, 3, 70]].tolist()} - {*known.tolist()}
    assert not np.isin(batch.rows, labelled).any()


def test_random_asks_only_at_random():
    found, asked = session(3, strategy="random")
    assert all(batch.is_random.all() for batch in found)
    assert found[-1].drawn == 30
    assert set(asked.tolist()) == set(random_order(N, 0)[:30].tolist())


def test_no_random_share_and_nothing_but_it():
    assert not next_batch(state_of([]), 10, random_share=0.0).is_random.any()
    assert next_batch(state_of([]), 10, random_share=1.0).is_random.all()


def test_the_order_of_the_data_is_kept_without_random_ones():
    batch = next_batch(state_of([1], closed=[4]), 6, strategy="sequential", random_share=0.5, seed=3)
    assert batch.rows.tolist() == [0, 2, 3, 5, 6, 7]
    assert not batch.is_random.any()
    assert batch.drawn == 0


def test_the_place_in_a_batch_and_the_reasons_shown_do_not_tell_what_is_random():
    places, shown = Counter(), {True: set(), False: set()}
    for seed in range(300):
        batch = next_batch(state_of([]), 10, seed=seed)
        places.update(np.flatnonzero(batch.is_random).tolist())
        for reason, drawn in zip(batch.reasons, batch.is_random, strict=True):
            shown[bool(drawn)].add(reason)
    assert sorted(places) == list(range(10))
    assert chisquare([places[place] for place in range(10)]).pvalue > 1e-3
    assert shown[True] == shown[False]
    assert len(shown[True]) == 3
    assert len(set(next_batch(state_of([], probabilities=None), 10).reasons)) == 1


def test_the_sample_is_uniform_whatever_a_strategy_prefers():
    """A strategy that asks the upper half first: the sample has as many of it as of the lower half."""
    upper = np.zeros(N, bool)
    upper[: N // 2] = True
    doubtful = np.where(upper, 0.5, 1.0)
    known = np.stack([doubtful, 1.0 - doubtful], axis=1).astype(np.float32)
    shares, drawn_ones = [], []
    for seed in range(200):
        asked = np.zeros(0, np.int64)
        for _ in range(6):
            state = PoolState(FEATURES, asked, known, 2, geometry=GEOMETRY)
            batch = next_batch(state, 10, strategy="margin", seed=seed)
            asked = np.concatenate([asked, batch.rows])
        sample = random_sample(random_order(N, seed), batch.drawn, asked)
        assert len(sample.rows) == 9
        shares.append(upper[sample.rows].mean())
        drawn_ones.append(upper[asked].mean())
    assert np.mean(drawn_ones) > 0.9
    assert abs(np.mean(shares) - 0.5) < 3 * 0.5 / np.sqrt(9 * 200)


def test_the_seed_decides():
    first, again = next_batch(state_of([1]), 10, seed=4), next_batch(state_of([1]), 10, seed=4)
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.is_random, again.is_random)
    assert (next_batch(state_of([1]), 10, seed=5).rows != first.rows).any()
    assert sorted(random_order(50, 1).tolist()) == list(range(50))
    assert (random_order(50, 1) != random_order(50, 2)).any()


def test_a_batch_has_ten_questions_or_one_a_class():
    assert [batch_size_of(k) for k in (2, 10, 40)] == [10, 10, 40]


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="one question at least"):
        next_batch(state_of([]), 0)
    with pytest.raises(
        ValueError, match=r"a strategy is one of uncertainty-herding, .* Received: strategy='best'"
    ):
        next_batch(state_of([]), 5, strategy="best")
    with pytest.raises(ValueError, match=r"a random share lies in \[0, 1\]"):
        next_batch(state_of([]), 5, random_share=1.5)
