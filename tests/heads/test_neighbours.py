"""Neighbours in a pool, as a model and as arithmetic see them."""

import numpy as np
import pytest
from unit_rows import unit

from tfautolabel.heads.neighbours import NEIGHBOURS, Anchors, nearest


def rows(n=300, d=8, seed=0):
    found = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return unit(found).astype(np.float32)


def test_nearest_are_the_nearest_and_never_the_row_itself():
    whole = rows()
    places, squared = (np.asarray(one) for one in nearest(whole, whole))
    distance = ((whole[:, None] - whole[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_array_equal(np.sort(places), np.sort(np.argsort(distance)[:, :NEIGHBOURS]))
    np.testing.assert_allclose(squared, np.sort(distance)[:, :NEIGHBOURS], atol=1e-5)


def test_an_anchor_is_seen_as_a_new_row_is():
    whole = rows(2_500)
    anchors = Anchors.of(whole)
    places, weights = anchors.seen_from(whole)
    linked = np.asarray(anchors.links[7].todense())[0]
    np.testing.assert_allclose(linked[places[7]], weights[7], atol=1e-6)
    np.testing.assert_allclose(anchors.links.sum(axis=1), 1.0, atol=1e-5)


def test_smoothed_features_are_two_steps_of_half_the_way():
    whole = rows()
    anchors = Anchors.of(whole)
    once = 0.5 * whole + 0.5 * (anchors.links @ whole)
    twice = unit(0.5 * once + 0.5 * (anchors.links @ once))
    places, weights = anchors.seen_from(whole)
    np.testing.assert_allclose(anchors.smoothed(whole, places, weights), twice, atol=1e-5)


def test_a_known_label_reaches_its_neighbours_and_a_hidden_one_does_not():
    whole = rows()
    anchors = Anchors.of(whole)
    own = np.full((300, 2), 0.5, np.float32)
    known = np.zeros((20, 2), np.float32)
    nothing = anchors.passed_along(own, known)
    np.testing.assert_allclose(nothing, 0.5, atol=1e-6)
    known[3] = (1.0, 0.0)
    passed = anchors.passed_along(own, known)
    assert passed[3, 0] > 0.6
    reached = np.flatnonzero(np.asarray(anchors.links[:, [3]].todense())[:, 0])
    assert (passed[reached, 0] > 0.5).all()
    np.testing.assert_allclose(passed.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_a_row_are_not_its_neighbours(copies):
    whole = np.concatenate([rows(50), np.repeat(rows(1, seed=1), copies, axis=0)])
    places, _ = (np.asarray(one) for one in nearest(whole, whole))
    assert not set(places[-1].tolist()) & set(range(50, 50 + copies))
