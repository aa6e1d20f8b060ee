"""What every query strategy keeps."""

from dataclasses import replace

import numpy as np
import pytest

from tfautolabel.active import QUERY_STRATEGIES, PoolGeometry, PoolState

K = 3
SEQUENTIAL = "sequential"
EXACT = ("uncertainty-herding", "margin", "herding", "variance")
"""Strategies without chance, besides the order of equal examples."""


def pool(n=60, d=5, seed=0):
    """Features of three groups, and probabilities of a head that knows them a little."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, K, n)
    features = (rng.normal(size=(K, d))[classes] + 0.5 * rng.normal(size=(n, d))).astype(np.float32)
    scores = np.exp(1.5 * rng.normal(size=(n, K)) + 2.0 * np.eye(K)[classes])
    return features, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def state_of(features, probabilities, labelled=(0, 1, 2), closed=(), n_classes=K, seed=0):
    return PoolState(
        features,
        np.array(labelled, np.int64),
        probabilities,
        n_classes,
        np.array(closed, np.int64),
        PoolGeometry(features, seed),
    )


@pytest.fixture(params=sorted(QUERY_STRATEGIES))
def name(request):
    return request.param


@pytest.fixture
def strategy(name):
    return QUERY_STRATEGIES[name]


def check(chosen, state, n):
    assert chosen.rows.dtype == np.int64
    assert len(chosen.rows) == len(chosen.reasons) == min(n, len(state.open))
    assert len(np.unique(chosen.rows)) == len(chosen.rows)
    assert np.isin(chosen.rows, state.open).all()
    assert all(
        reason[0].isupper() and reason.endswith(".") and len(reason) < 100 for reason in chosen.reasons
    )


@pytest.mark.parametrize("with_head", [True, False])
@pytest.mark.parametrize("labelled", [(), (4,), (0, 1, 2, 40, 41)])
@pytest.mark.parametrize("n", [0, 1, 7, 1000])
def test_open_rows_are_chosen_once(strategy, with_head, labelled, n):
    features, probabilities = pool()
    state = state_of(features, probabilities if with_head else None, labelled, closed=(5, 6, 4))
    check(strategy(state, n, seed=1), state, n)


def test_the_seed_decides(strategy):
    state = state_of(*pool())
    first = strategy(state, 9, seed=3)
    again = strategy(state_of(*pool()), 9, seed=3)
    np.testing.assert_array_equal(first.rows, again.rows)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_small_and_flat_pools(strategy, n):
    for d in (1, 4):
        features = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
        state = state_of(features, None, labelled=())
        check(strategy(state, 3, seed=0), state, 3)
        state = state_of(features, np.full((n, K), 1 / K, np.float32), labelled=(0,))
        check(strategy(state, 3, seed=0), state, 3)


def test_an_empty_pool_gives_nothing(strategy):
    for probabilities in (None, np.zeros((0, K), np.float32)):
        state = state_of(np.zeros((0, 4), np.float32), probabilities, labelled=())
        check(strategy(state, 3, seed=0), state, 3)


def test_one_class_and_a_head_that_is_sure_of_all(strategy):
    features, _ = pool()
    for k, probabilities in ((1, np.ones((60, 1))), (K, np.eye(K)[np.zeros(60, int)])):
        state = state_of(features, probabilities.astype(np.float32), n_classes=k)
        check(strategy(state, 8, seed=0), state, 8)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5])
def test_equal_examples_are_ordered_by_the_seed(name, strategy, value):
    if name == SEQUENTIAL:
        pytest.skip("keeps the order of the data")
    features = np.full((50, 4), value, np.float32)
    for probabilities in (None, np.full((50, K), 1 / K, np.float32)):
        state = state_of(features, probabilities)
        found = [strategy(state, 5, seed=seed) for seed in range(6)]
        for chosen in found:
            check(chosen, state, 5)
        assert len({tuple(chosen.rows.tolist()) for chosen in found}) > 1


def test_equal_examples_are_not_asked_twice_where_others_are_left(name, strategy):
    if name in ("random", "margin", SEQUENTIAL):
        pytest.skip("looks at each example alone")
    features, probabilities = pool()
    twice = np.concatenate([features, features])
    state = state_of(twice, np.concatenate([probabilities, probabilities]))
    rows = strategy(state, 6, seed=0).rows % 60
    assert len(np.unique(rows)) == 6
    if name not in ("badge", "margin-diverse"):  # these do not look at what is labelled
        assert not np.isin(rows, state.labelled).any()


@pytest.mark.parametrize("with_head", [True, False])
def test_the_order_of_the_pool_has_no_effect(name, strategy, with_head):
    """What is chosen covers the same: two examples that are nearest to each other may gain the same."""
    if name not in EXACT:
        pytest.skip("has chance in it")
    features, probabilities = pool()
    order = np.random.default_rng(5).permutation(60)
    place = np.argsort(order)
    state = state_of(features, probabilities if with_head else None, closed=(9,))
    other = PoolState(
        features[order],
        place[state.labelled],
        probabilities[order] if with_head else None,
        K,
        place[state.closed],
    )
    there, here = order[strategy(other, 8, seed=0).rows], strategy(state, 8, seed=0).rows
    if with_head and name != "herding":
        np.testing.assert_array_equal(there, here)
    for count in range(1, 9):
        covered = [state.geometry.covered(rows[:count]).sum() for rows in (there, here)]
        assert covered[0] == pytest.approx(covered[1], rel=1e-5)


def test_a_geometry_can_serve_all_batches(strategy):
    features, probabilities = pool()
    shared = PoolGeometry(features)
    labelled = np.array([3], np.int64)
    for _ in range(3):
        state = PoolState(features, labelled, probabilities, K, geometry=shared)
        rows = strategy(state, 4, seed=0).rows
        fresh = strategy(replace(state, geometry=PoolGeometry(features)), 4, seed=0).rows
        np.testing.assert_array_equal(rows, fresh)
        labelled = np.concatenate([labelled, rows])


@pytest.mark.parametrize("with_head", [True, False])
def test_large_pools_are_sampled(strategy, with_head, monkeypatch, tmp_path):
    """The limits are lowered; the pool is a memory map, and most of its rows are never read as features."""
    features, probabilities = pool(n=600)
    mapped = np.memmap(tmp_path / "features", np.float32, "w+", shape=features.shape)
    mapped[:] = features
    small = PoolGeometry(mapped, whole=60, reference_rows=40)
    state = PoolState(mapped, np.arange(100), probabilities if with_head else None, K, geometry=small)
    assert len(state.geometry.reference) == 40
    read = []
    units = PoolGeometry.units
    monkeypatch.setattr(
        PoolGeometry, "units", lambda self, rows: (read.append(len(rows)), units(self, rows))[1]
    )
    for n in (10, 200):
        check(strategy(state, n, seed=0), state, n)
    assert sum(read) <= 2 * (60 + 40 + 100 + 5 * 200)


def test_no_copy_of_the_features_is_made(strategy):
    class Counted(np.ndarray):
        """Counts the values that are taken from it."""

        taken = 0

        def __getitem__(self, key):
            found = np.asarray(super().__getitem__(key))
            Counted.taken += found.size
            return found

    features = np.random.default_rng(0).normal(size=(20_000, 8)).astype(np.float32)
    probabilities = np.full((20_000, K), 1 / K, np.float32)
    state = state_of(features.view(Counted), probabilities)
    check(strategy(state, 10, seed=0), state, 10)
    assert Counted.taken <= 0.55 * features.size


def test_wrong_states_are_refused():
    features, probabilities = pool()
    with pytest.raises(ValueError, match=r"labelled holds rows in \[0, 60\). Received: 60 to 60"):
        state_of(features, probabilities, labelled=(60,))
    with pytest.raises(ValueError, match=r"closed holds rows"):
        state_of(features, probabilities, closed=(-1,))
    with pytest.raises(ValueError, match=r"probabilities have shape \(60, 4\)"):
        state_of(features, probabilities, n_classes=4)
    with pytest.raises(ValueError, match=r"features have shape \(n, d\). Received: shape \(60,\)"):
        PoolState(features[:, 0], np.zeros(0, np.int64), None, K)
    with pytest.raises(ValueError, match="another pool"):
        PoolState(features, np.zeros(0, np.int64), None, K, geometry=PoolGeometry(features[1:]))


def test_features_that_are_not_finite_are_refused():
    features, _ = pool()
    features[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity in row 7"):
        QUERY_STRATEGIES["herding"](state_of(features, None), 3, seed=0)
