import numpy as np
import pytest

from tfautolabel.active import PoolGeometry


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)


@pytest.mark.parametrize("signed", [True, False])
def test_rows_are_normalised_as_heads_do_it(features, signed):
    from tfautolabel.heads.normalization import PowerNormalization

    values = features if signed else np.maximum(features, 0.0)
    values[3] = 0.0
    layer = PowerNormalization()
    layer.adapt(values)
    rows = np.array([5, 3, 70])
    np.testing.assert_allclose(PoolGeometry(values).units(rows), np.asarray(layer(values[rows])), atol=1e-6)


def test_a_row_is_most_like_itself(features):
    kernel = PoolGeometry(features).similarity(np.arange(80))
    np.testing.assert_allclose(np.diag(kernel), 1.0, atol=1e-5)
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-5)
    assert kernel.min() >= 0.0


def test_coverage_is_the_nearest_row_whatever_was_asked_before(features):
    geometry = PoolGeometry(features)
    for rows in ([], [3], [3, 9], [9, 3, 20], [9], [], [20, 21]):
        rows = np.array(rows, np.int64)
        expected = geometry.similarity(rows).max(axis=1, initial=0.0)
        np.testing.assert_array_equal(geometry.covered(rows), expected)


def test_a_sample_stands_for_a_large_pool(features):
    limits = {"whole": 50, "reference_rows": 20}
    geometry = PoolGeometry(features, seed=1, **limits)
    assert not geometry.is_whole
    assert len(np.unique(geometry.reference)) == 20
    np.testing.assert_array_equal(geometry.reference, PoolGeometry(features, seed=1, **limits).reference)
    assert (geometry.reference != PoolGeometry(features, seed=2, **limits).reference).any()
    assert geometry.similarity(np.array([1, 2])).shape == (20, 2)
    assert geometry.typicality.shape == (20,)


def test_low_dimensions_keep_the_distances_of_flat_data():
    rng = np.random.default_rng(0)
    flat = (rng.normal(size=(100, 3)) @ rng.normal(size=(3, 90))).astype(np.float32)
    geometry = PoolGeometry(flat)
    rows = np.arange(100)
    low, units = geometry.low(rows), geometry.units(rows)
    assert low.shape == (100, 48)
    np.testing.assert_allclose(
        np.linalg.norm(low[0] - low, axis=1), np.linalg.norm(units[0] - units, axis=1), atol=1e-3
    )
