"""Simulated sessions, with the product's own head on small artificial pools."""

import numpy as np
import pytest

from tfautolabel.active import QUERY_STRATEGIES, Oracle, random_order, simulate
from tfautolabel.data.shares import share_weights
from tfautolabel.heads import build_head

K = 3


def pool(n, seed=0):
    """Groups that a linear head separates, the last one rare."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(K, n, p=[0.5, 0.45, 0.05])
    features = 3.0 * np.eye(K, 8)[truth] + rng.normal(size=(n, 8))
    return features.astype(np.float32), truth


def test_answers_are_right_as_often_as_said_and_never_change():
    truth = np.random.default_rng(0).integers(0, K, 4000)
    oracle = Oracle(truth, K, error_rate=0.1, seed=1)
    answers = oracle.answer(np.arange(4000))
    wrong = answers != truth
    assert abs(wrong.mean() - 0.1) < 0.02
    assert set(np.unique((answers - truth)[wrong] % K)) == {1, 2}
    np.testing.assert_array_equal(oracle.answer(np.array([7, 3, 7])), answers[[7, 3, 7]])
    np.testing.assert_array_equal(Oracle(truth, K).answer(np.arange(9)), truth[:9])


@pytest.mark.parametrize(("rate", "k"), [(1.0, 3), (-0.1, 3), (0.1, 1)])
def test_wrong_error_rates_are_refused(rate, k):
    with pytest.raises(ValueError, match="an error rate lies in"):
        Oracle(np.zeros(3, np.int64), k, error_rate=rate)


def test_a_session_from_nothing():
    features, truth = pool(150)
    test_features, test_truth = pool(100, seed=1)
    options = {"sizes": (6, 16, 26), "test_features": test_features, "test_truth": test_truth, "seed": 2}
    found = simulate(features, truth, K, random_share=0.15, **options)
    assert found.sizes.tolist() == [6, 16, 26]
    assert len(np.unique(found.rows)) == 26
    np.testing.assert_array_equal(found.answers, truth[found.rows])
    assert found.drawn == 4
    assert np.isin(random_order(150, 2)[:4], found.rows).all()
    assert found.is_random.sum() <= 4
    assert found.classes_found.tolist() == sorted(found.classes_found.tolist())
    assert found.test_accuracy[-1] >= 0.9
    assert found.pool_accuracy[-1] > 0.9
    again = simulate(features, truth, K, random_share=0.15, **options)
    np.testing.assert_array_equal(found.rows, again.rows)


def test_a_session_stops_with_its_pool():
    features, truth = pool(20)
    found = simulate(features, truth, K, start=[0, 1], sizes=(2, 12, 40, 50), strategy="margin")
    assert found.sizes.tolist() == [2, 12, 20]
    assert found.pool_accuracy[-1] == 1.0
    assert np.isnan(found.test_accuracy).all()


def test_wrong_answers_stay_wrong_in_the_pool():
    features, truth = pool(60)
    found = simulate(features, truth, K, sizes=(60,), strategy="random", error_rate=0.2)
    assert found.pool_accuracy[-1] == (found.answers == truth[found.rows]).mean() < 1.0


def test_one_class_only_and_a_strategy_of_ones_own():
    features, _ = pool(30)
    asked = []

    def own(state, n, *, seed):
        asked.append(state.probabilities)
        return QUERY_STRATEGIES["random"](state, n, seed=seed)

    found = simulate(features, np.zeros(30, np.int64), 1, sizes=(5, 10), strategy=own)
    assert found.pool_accuracy.tolist() == [1.0, 1.0]
    assert asked == [None, None]


def test_sizes_must_ascend():
    features, truth = pool(20)
    with pytest.raises(ValueError, match="sizes ascend from the 3 labels"):
        simulate(features, truth, K, start=[0, 1, 2], sizes=(2, 5))


def test_the_head_is_the_default_one():
    features, truth = pool(60)
    features = np.abs(features)  # takes the square root
    start, seen = np.arange(20), []

    def own(state, n, *, seed):
        seen.append(state.probabilities)
        return QUERY_STRATEGIES["random"](state, n, seed=seed)

    simulate(features, truth, K, start=start, sizes=(25,), strategy=own, seed=3)
    classes, class_ids = np.unique(truth[start], return_inverse=True)
    head = build_head("linear", 8, len(classes), 3)
    head.fit(features[start], class_ids, class_weight=share_weights(class_ids, len(classes), "chosen"))
    np.testing.assert_allclose(seen[0][:, classes], np.asarray(head(features)), atol=1e-4)
