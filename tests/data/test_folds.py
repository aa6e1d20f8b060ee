import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfautolabel.data.folds import content_order, stratified_folds, twin_numbers


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


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), min_size=2, max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_examples_changes_neither_their_order_by_content_nor_their_folds(examples, random):
    features, class_ids = (np.array(part) for part in zip(*examples, strict=True))
    features = np.stack([features * np.float32(0.3), np.zeros(len(features))], axis=1)
    shuffled = list(range(len(examples)))
    random.shuffle(shuffled)
    content = []
    for rows in (np.arange(len(examples)), np.array(shuffled)):
        order = content_order(features[rows], class_ids[rows])
        assert sorted(order) == list(range(len(examples)))
        folds = stratified_folds(class_ids[rows], 4, 0, content=features[rows])
        content.append(
            (features[rows][order].tolist(), class_ids[rows][order].tolist(), folds[order].tolist())
        )
    assert content[0] == content[1]


def test_the_last_bits_of_features_do_not_change_the_order_and_minus_zero_is_zero():
    features = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    features[:, 0] = 0.0
    noisy = features * np.float32(1 + 1e-6)
    noisy[::2, 0] = -0.0
    class_ids = np.arange(50) % 3
    np.testing.assert_array_equal(content_order(features, class_ids), content_order(noisy, class_ids))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=2, max_size=60),
    st.integers(2, 6),
    st.integers(0, 2**32 - 1),
)
def test_copies_share_a_fold_and_others_are_dealt_evenly(examples, n_folds, seed):
    contents, class_ids = (np.array(part) for part in zip(*examples, strict=True))
    features = np.stack([contents * 0.3, contents % 2], axis=1)
    folds = stratified_folds(class_ids, n_folds, seed, content=features)
    np.testing.assert_array_equal(
        folds, stratified_folds(class_ids, n_folds, seed, content=features, groups=contents)
    )
    different = len(set(contents.tolist()))
    if different == 1:
        assert len(set(folds)) == min(n_folds, len(examples))
        return
    assert all(len(set(folds[contents == content])) == 1 for content in set(contents.tolist()))
    firsts = folds[np.unique(contents, return_index=True)[1]]
    assert set(firsts) == set(range(min(n_folds, different)))
    assert np.ptp(np.bincount(firsts)) <= 1


def test_twins_are_numbered_by_content():
    content = np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    assert twin_numbers(content).tolist() == [0, 0, 1, 0]
    assert twin_numbers(np.zeros((3, 0))).tolist() == [0, 0, 0]
    assert len(twin_numbers(np.zeros((0, 4)))) == 0
