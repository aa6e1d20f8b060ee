import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from tfautolabel.heads.folds import stratified_folds
from tfautolabel.heads.softmax_regression import PENALTIES, fit_softmax_regression


def blobs(n, d, k=3, seed=0, spread=1.0, offset=0.0):
    """(n, d) rows of length one around k centres, as features are after normalisation."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    class_ids = np.arange(n) % k
    features = centres[class_ids] + rng.normal(0, spread, (n, d)) + offset
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32), class_ids


def predicted(model, features):
    return softmax(features @ model.weights + model.bias, axis=1)


def scikit_learn(features, class_ids, penalty, sample_weight=None):
    model = LogisticRegression(C=penalty, max_iter=20_000, tol=1e-9)
    return model.fit(features.astype(np.float64), class_ids, sample_weight=sample_weight)


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize(("n", "d"), [(300, 12), (30, 200), (100, 150)])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_scikit_learns(penalty, n, d, weighted):
    features, class_ids = blobs(n, d, spread=1.5)
    others, _ = blobs(50, d, seed=1, spread=1.5)
    weight = np.random.default_rng(2).uniform(0.2, 3, n).astype(np.float32) if weighted else None
    model = fit_softmax_regression(features, class_ids, 3, penalties=[penalty], sample_weight=weight)
    expected = scikit_learn(features, class_ids, penalty, weight)
    for rows in (features, others):
        np.testing.assert_allclose(predicted(model, rows), expected.predict_proba(rows), atol=1e-3)
    assert (model.weights.dtype, model.weights.shape, model.bias.shape) == (np.float32, (d, 3), (3,))
    assert (model.penalty, model.out_of_fold) == (penalty, None)


def test_two_classes_equal_scikit_learns_multinomial():
    features, class_ids = blobs(200, 10, k=2, spread=2)
    model = fit_softmax_regression(features, class_ids, 2, penalties=[4.0])
    # Two columns of weights share the penalty that scikit-learn's single one bears alone.
    expected = scikit_learn(features, class_ids, 8.0)
    np.testing.assert_allclose(predicted(model, features), expected.predict_proba(features), atol=1e-3)


def test_large_common_offset_does_no_harm():
    features, class_ids = blobs(90, 20, offset=8.0)
    model = fit_softmax_regression(features, class_ids, 3, penalties=[1000.0])
    expected = scikit_learn(features, class_ids, 1000.0)
    np.testing.assert_allclose(predicted(model, features), expected.predict_proba(features), atol=1e-3)


def test_class_without_examples_gets_little():
    features, class_ids = blobs(60, 10)
    model = fit_softmax_regression(features, class_ids, 4, penalties=[16.0])
    assert predicted(model, features)[:, 3].max() < 0.02


@pytest.mark.parametrize("spread", [0.3, 4.0])
def test_chosen_penalty_is_the_best_of_scikit_learns_cross_validation(spread):
    features, class_ids = blobs(90, 12, spread=spread)
    folds = stratified_folds(class_ids, 5, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds)
    losses = {}
    for penalty in PENALTIES:
        own = np.empty(len(class_ids))
        for fold in range(5):
            held_out = folds == fold
            fitted = scikit_learn(features[~held_out], class_ids[~held_out], penalty)
            own[held_out] = fitted.predict_proba(features[held_out])[
                np.arange(held_out.sum()), class_ids[held_out]
            ]
        losses[penalty] = -np.log(own).mean()
    assert losses[model.penalty] <= 1.02 * min(losses.values())
    for penalty, loss in model.losses.items():
        assert loss == pytest.approx(losses[penalty], rel=0.05)


def test_noise_wants_a_strong_penalty_and_clear_classes_a_weak_one():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(100, 40)).astype(np.float32)
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    folds = stratified_folds(np.arange(100) % 2, 5, 0)
    assert fit_softmax_regression(noise, np.arange(100) % 2, 2, folds=folds).penalty == PENALTIES[0]
    features, class_ids = blobs(99, 40, spread=0.1)
    folds = stratified_folds(class_ids, 5, 0)
    assert fit_softmax_regression(features, class_ids, 3, folds=folds).penalty >= 256


def test_out_of_fold_rows_come_from_models_that_did_not_see_them():
    features, class_ids = blobs(60, 12, spread=2)
    folds = stratified_folds(class_ids, 5, 0)

    def out_of_fold(labels):
        return fit_softmax_regression(features, labels, 3, folds=folds, penalties=[16.0]).out_of_fold

    before = out_of_fold(class_ids)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)
    for row in (0, 17, 59):
        changed = class_ids.copy()
        changed[row] = (changed[row] + 1) % 3
        after = out_of_fold(changed)
        same_fold = folds == folds[row]
        np.testing.assert_array_equal(after[same_fold], before[same_fold])
        assert not np.allclose(after[~same_fold], before[~same_fold], atol=1e-4)


def test_out_of_fold_equals_separate_fits():
    features, class_ids = blobs(60, 12, spread=2)
    folds = stratified_folds(class_ids, 4, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds, penalties=[16.0])
    for fold in range(4):
        held_out = folds == fold
        fitted = scikit_learn(features[~held_out], class_ids[~held_out], 16.0)
        np.testing.assert_allclose(
            model.out_of_fold[held_out], fitted.predict_proba(features[held_out]), atol=0.02
        )


def test_weighted_example_counts_like_copies():
    features, class_ids = blobs(40, 8, spread=2)
    weight = np.ones(40, np.float32)
    weight[:5] = 3
    copies = np.concatenate([np.arange(40), np.tile(np.arange(5), 2)])
    one = fit_softmax_regression(features, class_ids, 3, penalties=[16.0], sample_weight=weight)
    other = fit_softmax_regression(features[copies], class_ids[copies], 3, penalties=[16.0])
    np.testing.assert_allclose(predicted(one, features), predicted(other, features), atol=1e-3)


def test_penalties_need_folds():
    features, class_ids = blobs(9, 4)
    with pytest.raises(ValueError, match=r"need folds.*penalties=\(1\.0, 4\.0"):
        fit_softmax_regression(features, class_ids, 3)
