import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfautolabel.heads.folds import stratified_folds


@given(st.lists(st.integers(0, 6), min_size=2, max_size=80), st.integers(2, 10), st.integers(0, 2**32 - 1))
def test_folds_are_even_in_each_class_and_in_all(class_ids, n_folds, seed):
    class_ids = np.array(class_ids)
    folds = stratified_folds(class_ids, n_folds, seed)
    made = min(n_folds, len(class_ids))
    assert folds.shape == class_ids.shape
    assert set(folds) == set(range(made))
    assert np.ptp(np.bincount(folds, minlength=made)) <= 1
    for class_id in set(class_ids):
        assert np.ptp(np.bincount(folds[class_ids == class_id], minlength=made)) <= 1
    np.testing.assert_array_equal(folds, stratified_folds(class_ids, n_folds, seed))


def test_seed_decides():
    class_ids = np.arange(60) % 3
    assert not np.array_equal(stratified_folds(class_ids, 5, 0), stratified_folds(class_ids, 5, 1))


def test_global_random_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    stratified_folds(np.arange(60) % 3, 5, 0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(("n", "n_folds"), [(10, 1), (1, 5), (0, 5)])
def test_too_few(n, n_folds):
    with pytest.raises(ValueError, match="at least two folds and two examples"):
        stratified_folds(np.zeros(n, int), n_folds, 0)
