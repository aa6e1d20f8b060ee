"""What is learned of the difference between two networks' logits."""

import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.export.logit_correction import FEWEST, MOST_CLASSES, LogitCorrection, fit_logit_correction


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def drawn(n, k, seed=0):
    return np.random.default_rng(seed).normal(scale=3, size=(n, k)).astype(np.float32)


def corrected(correction, logits):
    return correction.in_graph(tf.constant(logits)).numpy()


def test_an_affine_change_is_taken_back_on_examples_that_were_not_seen():
    original, rng = drawn(260, 5), np.random.default_rng(1)
    original -= original.mean(axis=1, keepdims=True)
    changed = original @ (np.eye(5) + 0.1 * rng.normal(size=(5, 5))) + rng.normal(size=5)
    changed = changed.astype(np.float32)
    correction = fit_logit_correction(changed[:60], original[:60])
    found = corrected(correction, changed[60:])
    before = np.abs(softmax(changed[60:]) - softmax(original[60:])).max()
    assert np.abs(found - softmax(original[60:])).max() < before / 10


def test_numbers_added_to_all_logits_of_an_example_change_nothing():
    original = drawn(50, 4)
    changed = (original * 1.2 + np.array([0.5, 0, -0.5, 1])).astype(np.float32)
    offsets = drawn(50, 1, seed=2)
    plain = fit_logit_correction(changed, original)
    shifted = fit_logit_correction(changed + offsets, original - 2 * offsets)
    np.testing.assert_allclose(corrected(shifted, changed + 7), corrected(plain, changed), atol=1e-5)


def test_a_shift_alone_is_learned_where_there_are_many_classes():
    k = MOST_CLASSES + 1
    original = drawn(40, k)
    shift = drawn(1, k, seed=3)[0]
    correction = fit_logit_correction(original + shift, original)
    assert correction.kernel is None
    np.testing.assert_allclose(correction.bias, -(shift - shift.mean()), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_noise_teaches_next_to_nothing(seed):
    original = drawn(100, 6, seed)
    noise = 0.1 * np.random.default_rng(seed + 50).normal(size=original.shape).astype(np.float32)
    correction = fit_logit_correction(original + noise, original)
    if correction is not None:
        fresh = drawn(500, 6, seed + 100)
        assert np.abs(corrected(correction, fresh) - softmax(fresh)).max() < 0.05


def test_few_examples_teach_nothing():
    original = drawn(FEWEST - 1, 3)
    assert fit_logit_correction(original * 2, original) is None


def test_equal_logits_need_no_correction():
    original = drawn(30, 3)
    assert fit_logit_correction(original, original) is None


def test_probabilities_are_those_of_the_corrected_logits():
    logits = drawn(8, 3)
    kernel, bias = drawn(3, 3, seed=1), drawn(1, 3, seed=2)[0]
    expected = softmax(logits + logits @ kernel + bias)
    np.testing.assert_allclose(corrected(LogitCorrection(kernel, bias), logits), expected, atol=1e-5)
