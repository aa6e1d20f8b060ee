import numpy as np
import pytest

from tfautolabel.trust.pool_shares import pool_shares


def test_shares_are_found_although_some_examples_are_nearest_to_a_wrong_class():
    right = np.array([[0.8, 0.2, 0.0], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
    shares = np.array([0.7, 0.1, 0.2])
    found = pool_shares(right * 1000, np.full(3, 1000), np.round(10_000 * shares @ right))
    np.testing.assert_allclose(found, shares, atol=0.01)


def test_examples_that_are_left_out_on_both_sides_do_not_matter():
    rng = np.random.default_rng(0)
    right = np.array([[0.6, 0.1], [0.05, 0.35]])  # the rest of each class scores too high to count
    shares = np.array([0.3, 0.7])
    found = pool_shares(right * 2000, np.full(2, 2000), rng.multinomial(5000, [*(shares @ right), 0.485])[:2])
    np.testing.assert_allclose(found, shares, atol=0.05)


def test_a_class_without_held_out_examples_gets_no_share():
    found = pool_shares(np.diag([5.0, 0.0, 5.0]), np.array([5, 0, 5]), np.array([10, 20, 30]))
    assert found[1] == 0.0
    assert found.sum() == pytest.approx(1.0)


def test_without_a_pool_the_held_out_examples_decide():
    np.testing.assert_allclose(pool_shares(np.eye(2) * 4, np.array([6, 2]), np.zeros(2)), [0.75, 0.25])
