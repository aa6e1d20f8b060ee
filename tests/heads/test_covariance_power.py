"""The axes of a pool and features scaled along them."""

import numpy as np
from unit_rows import unit

from tfautolabel.heads.covariance_power import principal_axes


def rows(n=500, d=6, seed=0):
    found = np.random.default_rng(seed).normal(size=(n, d)) * np.arange(1, d + 1)
    return unit(found).astype(np.float32)


def test_axes_are_those_of_the_covariance_in_parts_as_at_once():
    whole = rows()
    axes = principal_axes([whole[:123], whole[123:]])
    covariance = np.cov(whole.T, bias=True)
    along = axes.directions.T @ covariance @ axes.directions
    np.testing.assert_allclose(np.diag(along) / along.max(), axes.shares, atol=1e-4)
    np.testing.assert_allclose(along - np.diag(np.diag(along)), 0.0, atol=1e-5)


def test_power_zero_changes_only_the_axes():
    whole = rows()
    scaled = principal_axes([whole]).scaled(whole, 0.0)
    np.testing.assert_allclose(scaled @ scaled.T, whole @ whole.T, atol=1e-5)


def test_a_power_multiplies_by_that_power_of_the_covariance():
    whole = rows()
    axes = principal_axes([whole])
    covariance = np.cov(whole.T, bias=True)
    root = axes.directions @ np.diag(np.sqrt(axes.shares)) @ axes.directions.T
    np.testing.assert_allclose(root @ root, covariance / np.linalg.eigvalsh(covariance)[-1], atol=1e-4)
    expected = unit(whole @ root)
    scaled = axes.scaled(whole, 0.5)
    np.testing.assert_allclose(scaled @ scaled.T, expected @ expected.T, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1.0, atol=1e-5)


def test_a_pool_that_does_not_vary_gives_finite_features():
    same = np.repeat(rows(1), 10, axis=0)
    assert np.isfinite(principal_axes([same]).scaled(same, 0.5)).all()
