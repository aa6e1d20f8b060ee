"""Weights of heads by held-out labels."""

import numpy as np
import pytest

from tfautolabel.heads.evidence import best_exponent, evidence_weights, mixed_by_evidence, sharpened


def labels(n=60, k=3, seed=0):
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % k
    right = np.eye(k)[class_ids]
    good = 0.7 * right + 0.3 * rng.dirichlet(np.ones(k), n)
    bad = rng.dirichlet(np.ones(k), n)
    return good, bad, class_ids, np.arange(n) // k % 5


def test_the_head_that_predicts_held_out_labels_gets_the_weight():
    good, bad, class_ids, folds = labels()
    weights, exponents, mixed = mixed_by_evidence([bad, good], class_ids, folds, np.ones(60))
    assert weights[1] > 0.99
    assert exponents.shape == (2,)
    assert (mixed.argmax(1) == class_ids).mean() == (good.argmax(1) == class_ids).mean()
    np.testing.assert_allclose(mixed.sum(axis=1), 1.0, atol=1e-5)


def test_equal_heads_leave_the_plain_one_a_nat_ahead():
    good, _, class_ids, folds = labels()
    weights, _, _ = mixed_by_evidence([good, good, good], class_ids, folds, np.ones(60))
    assert weights[0] / weights[1] == pytest.approx(np.e)
    assert weights[1] == weights[2]


def test_labels_that_say_nothing_have_no_weight():
    good, bad, class_ids, folds = labels()
    weights, exponents, _ = mixed_by_evidence([bad, good], class_ids, folds, np.zeros(60))
    np.testing.assert_allclose(weights, evidence_weights([0.0, 0.0]))
    assert exponents.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("true_exponent", [0.5, 2.0])
def test_the_exponent_undoes_too_much_or_too_little_certainty(true_exponent):
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.full(3, 0.5), 4000)
    class_ids = np.array([rng.choice(3, p=row) for row in honest])
    found = best_exponent(sharpened(honest, 1.0 / true_exponent), class_ids, np.ones(4000))
    assert found == true_exponent


def test_a_label_has_no_say_in_the_weights_that_predict_it():
    good, bad, class_ids, folds = labels()
    out = folds == 2
    changed_ids = np.where(out, (class_ids + 1) % 3, class_ids)
    one = np.ones(60)
    given, changed = (mixed_by_evidence([bad, good], ids, folds, one) for ids in (class_ids, changed_ids))
    np.testing.assert_array_equal(given[2][out], changed[2][out])
    assert not np.array_equal(given[2][~out], changed[2][~out])
    assert not np.array_equal(given[0], changed[0])
