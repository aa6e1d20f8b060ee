"""Maps learnt by episodes: what an episode holds, and that the map predicts better on classes not seen."""

import numpy as np
import pytest
from scipy.special import log_softmax
from unit_rows import unit

from tfautolabel.training.meta import Task
from tfautolabel.training.meta.episodes import (
    QUERIES,
    SHOTS,
    WAYS,
    drawn_episode,
    learnt_map,
    split_classes,
)
from tfautolabel.training.meta.maml import first_order_maml
from tfautolabel.training.meta.prototypes import nearness, prototypes
from tfautolabel.training.meta.ridge import PENALTY, regressed, ridge
from tfautolabel.training.meta.whitening import whitening


def task(seed, classes=12, per_class=12, d=10):
    """Classes differ in three features only; all features vary alike within a class."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(classes * per_class) % classes
    features = rng.normal(0.0, 0.6, (len(class_ids), d))
    features[:, :3] += 1.5 * rng.normal(size=(classes, 3))[class_ids]
    return Task(unit(features).astype(np.float32), class_ids)


def loss(matrix, seed):
    """By the nearest mean of two examples a class, on classes that no map has seen."""
    new = task(seed, classes=5, per_class=40)
    rows = unit(new.features @ matrix).astype(np.float32)
    means = np.stack([rows[new.class_ids == number][:2].mean(axis=0) for number in range(5)])
    scores = -10.0 * ((rows[:, None] - means[None]) ** 2).sum(axis=2)
    return -log_softmax(scores, axis=1)[np.arange(len(rows)), new.class_ids].mean()


@pytest.mark.parametrize("method", [prototypes, ridge, first_order_maml])
def test_a_learnt_map_predicts_new_classes_better_than_whitening(method):
    tasks = [task(0), task(1)]
    maps = whitening(tasks), method(tasks, seed=0)
    before, after = (np.mean([loss(one, seed) for seed in range(50, 60)]) for one in maps)
    assert after < before - 0.005


def test_an_episode_holds_each_example_once_and_all_its_classes():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one = drawn_episode([task(0)], rng)
        assert one.ways == WAYS
        assert np.bincount(one.support_ids).tolist() == [SHOTS] * WAYS
        assert np.bincount(one.query_ids).tolist() == [QUERIES] * WAYS
        rows = np.concatenate([one.support, one.query])
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_small_classes_are_shared_between_labels_and_queries():
    one = drawn_episode([task(0, classes=3, per_class=3)], np.random.default_rng(0))
    assert np.bincount(one.support_ids).tolist() == [1, 1, 1]
    assert np.bincount(one.query_ids).tolist() == [2, 2, 2]


def test_classes_that_judge_are_not_learnt_from():
    whole = task(0)
    learning, kept_back = split_classes([whole], np.random.default_rng(0))
    first, second = (set(part[0].class_ids.tolist()) for part in (learning, kept_back))
    assert (len(first), len(second)) == (9, 3)
    assert not first & second


def test_without_classes_to_spare_the_map_is_whitening():
    few = [task(0, classes=3)]
    np.testing.assert_array_equal(learnt_map(few, nearness, 0), whitening(few))


def test_the_same_seed_gives_the_same_map():
    few = [task(0, classes=8, per_class=6, d=4)]
    np.testing.assert_array_equal(ridge(few, seed=3), ridge(few, seed=3))


def test_scores_of_prototypes_and_ridge_are_their_formulas():
    rng = np.random.default_rng(0)
    support, query = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    labels = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]
    means = support.reshape(3, 2, 4).mean(axis=1)
    near = -2.0 * ((query[:, None] - means[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(nearness(support, labels, query, 2.0), near, rtol=1e-4)
    kernel = np.linalg.solve(support.T @ support + PENALTY * np.eye(4), support.T @ labels)
    np.testing.assert_allclose(regressed(support, labels, query, 2.0), 2.0 * query @ kernel, atol=1e-3)
