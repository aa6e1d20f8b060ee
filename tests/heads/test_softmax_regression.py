import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from unit_rows import unit

from tfautolabel.data.folds import stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads.softmax_regression import (
    CS,
    PRIOR_WIDTH,
    USUAL_C,
    fit_soft_labels,
    fit_softmax_regression,
    left_out_probabilities,
)


def blobs(n, d, k=3, seed=0, spread=1.0, offset=0.0):
    """(n, d) rows of length one around k centres, as features are after normalisation."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, d))
    class_ids = np.arange(n) % k
    features = centres[class_ids] + rng.normal(0, spread, (n, d)) + offset
    return unit(features).astype(np.float32), class_ids


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
    model = fit_softmax_regression(features, class_ids, 3, Cs=[penalty], sample_weight=weight)
    expected = scikit_learn(features, class_ids, penalty, weight)
    for rows in (features, others):
        np.testing.assert_allclose(predicted(model, rows), expected.predict_proba(rows), atol=1e-3)
    assert (model.weights.dtype, model.weights.shape, model.bias.shape) == (np.float32, (d, 3), (3,))
    assert (model.C, model.out_of_fold) == (penalty, None)


def test_two_classes_equal_scikit_learns_multinomial():
    features, class_ids = blobs(200, 10, k=2, spread=2)
    model = fit_softmax_regression(features, class_ids, 2, Cs=[4.0])
    # Two columns of weights share the penalty that scikit-learn's single one bears alone.
    expected = scikit_learn(features, class_ids, 8.0)
    np.testing.assert_allclose(predicted(model, features), expected.predict_proba(features), atol=1e-3)


def test_large_common_offset_does_no_harm():
    features, class_ids = blobs(90, 20, offset=8.0)
    model = fit_softmax_regression(features, class_ids, 3, Cs=[1000.0])
    expected = scikit_learn(features, class_ids, 1000.0)
    np.testing.assert_allclose(predicted(model, features), expected.predict_proba(features), atol=1e-3)


def test_class_without_examples_gets_little():
    features, class_ids = blobs(60, 10)
    model = fit_softmax_regression(features, class_ids, 4, Cs=[16.0])
    assert predicted(model, features)[:, 3].max() < 0.02


def peer_scores(features, class_ids, folds, penalty):
    """(n, k): each example's scores from scikit-learn's model of the other folds."""
    scores = np.empty((len(class_ids), 3))
    for fold in np.unique(folds):
        held_out = folds == fold
        fitted = scikit_learn(features[~held_out], class_ids[~held_out], penalty)
        scores[held_out] = fitted.decision_function(features[held_out])
    return scores


@pytest.mark.parametrize("spread", [0.6, 1.5, 4.0])
def test_penalty_and_temperature_are_the_best_of_scikit_learns_cross_validation(spread):
    features, class_ids = blobs(150, 12, spread=spread)
    folds = stratified_folds(class_ids, 5, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds)
    scales = np.exp(np.linspace(-3, 5, 161))[:, None, None]
    objectives = {}
    for penalty in CS:
        log_probabilities = log_softmax(scales * peer_scores(features, class_ids, folds, penalty), axis=2)
        losses = -log_probabilities[:, np.arange(150), class_ids].mean(axis=1)
        if penalty in model.losses:
            # The softened targets stop a little short of the lowest loss.
            assert losses.min() - 1e-3 <= model.losses[penalty] <= losses.min() + 0.02
        surprise = 0.5 * (np.log(penalty / USUAL_C) / PRIOR_WIDTH) ** 2
        objectives[penalty] = 150 * losses.min() + surprise
    assert objectives[model.C] <= min(objectives.values()) + 1.0


def test_probabilities_hold_the_temperature():
    features, class_ids = blobs(90, 12)
    folds = stratified_folds(class_ids, 5, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds, Cs=[4.0])
    plain = fit_softmax_regression(features, class_ids, 3, Cs=[4.0])
    np.testing.assert_allclose(model.weights, model.scale * plain.weights, atol=2e-3 * model.scale)
    assert plain.scale == 1.0
    assert model.scale > 1.2


def test_no_error_does_not_end_in_certainty():
    features, class_ids = blobs(60, 12, spread=0.05)
    folds = stratified_folds(class_ids, 5, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds)
    own = model.out_of_fold[np.arange(60), class_ids]
    assert (model.out_of_fold.argmax(axis=1) == class_ids).all()
    assert 0.95 < own.mean() < 0.995


def test_many_examples_overrule_the_usual_penalty():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(4000, 100)) / np.arange(1, 101)).astype(np.float32)
    features = unit(features)
    # What tells the classes apart lies in the direction of the largest variance, or in one of the smallest.
    easy = (features[:, 0] + rng.normal(0, 2, 4000) > 0).astype(np.int64)
    steep = (features[:, 50] > 0).astype(np.int64)

    def chosen(class_ids, n):
        folds = stratified_folds(class_ids[:n], 5, 0)
        return fit_softmax_regression(features[:n], class_ids[:n], 2, folds=folds).C

    assert all(4.0 <= chosen(labels, 20) <= 64.0 for labels in (easy, steep)), "near the usual one"
    assert chosen(easy, 4000) < 4.0 < 16.0 < chosen(steep, 4000)


def directions(probabilities):
    """Scores up to one factor that all rows share, which is what the common temperature leaves open."""
    scores = np.log(probabilities) - np.log(probabilities).mean(axis=1, keepdims=True)
    return scores / np.linalg.norm(scores)


def test_out_of_fold_rows_come_from_models_that_did_not_see_them():
    features, class_ids = blobs(60, 12, spread=2)
    folds = stratified_folds(class_ids, 5, 0)

    def out_of_fold(labels):
        return fit_softmax_regression(features, labels, 3, folds=folds, Cs=[16.0]).out_of_fold

    before = out_of_fold(class_ids)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)
    for row in (0, 17, 59):
        changed = class_ids.copy()
        # Exchanged with another in its fold: the shares of the classes stay.
        other = np.flatnonzero((folds == folds[row]) & (class_ids != class_ids[row]))[0]
        changed[[row, other]] = changed[[other, row]]
        after = out_of_fold(changed)
        same_fold = folds == folds[row]
        np.testing.assert_allclose(directions(after[same_fold]), directions(before[same_fold]), atol=1e-5)
        assert not np.allclose(directions(after[~same_fold]), directions(before[~same_fold]), atol=1e-3)


def test_out_of_fold_equals_separate_fits():
    features, class_ids = blobs(60, 12, spread=2)
    folds = stratified_folds(class_ids, 4, 0)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds, Cs=[16.0])
    scores = model.scale * peer_scores(features, class_ids, folds, 16.0)
    np.testing.assert_allclose(model.out_of_fold, softmax(scores, axis=1), atol=0.02)


@pytest.mark.parametrize(("n", "d", "spread"), [(60, 12, 2), (60, 200, 2), (60, 12, 0.3)])
def test_examples_left_out_get_what_cross_validation_says(n, d, spread):
    features, class_ids = blobs(n, d, spread=spread)
    folds = stratified_folds(class_ids, 5, 0)
    weight = np.linspace(0.5, 2.0, n).astype(np.float32)
    model = fit_softmax_regression(features, class_ids, 3, folds=folds, sample_weight=weight)
    found = left_out_probabilities(
        model, features, class_ids, np.where(folds == 0, -1, folds), sample_weight=weight
    )
    np.testing.assert_allclose(found[folds > 0], model.out_of_fold[folds > 0], atol=0.02)
    assert not found[folds == 0].any()


def test_weighted_example_counts_like_copies():
    features, class_ids = blobs(40, 8, spread=2)
    weight = np.ones(40, np.float32)
    weight[:5] = 3
    copies = np.concatenate([np.arange(40), np.tile(np.arange(5), 2)])
    one = fit_softmax_regression(features, class_ids, 3, Cs=[16.0], sample_weight=weight)
    other = fit_softmax_regression(features[copies], class_ids[copies], 3, Cs=[16.0])
    np.testing.assert_allclose(predicted(one, features), predicted(other, features), atol=1e-3)


@pytest.mark.parametrize(("n", "d"), [(60, 8), (20, 90)])
def test_a_soft_label_counts_like_one_example_for_each_class(n, d):
    features, class_ids = blobs(n, d, spread=2)
    rng = np.random.default_rng(0)
    targets = rng.dirichlet(np.ones(3), n).astype(np.float32)
    targets[::4] = np.eye(3)[class_ids[::4]]
    weight = rng.uniform(0.5, 5, n).astype(np.float32)
    rows, classes = np.nonzero(targets)
    each = weight[rows] * targets[rows, classes]
    other = fit_softmax_regression(features[rows], classes, 3, Cs=[4.0], sample_weight=each)
    one = fit_soft_labels(features, targets, 4.0, sample_weight=weight)
    np.testing.assert_allclose(predicted(one, features), predicted(other, features), atol=1e-3)


def test_penalties_need_folds():
    features, class_ids = blobs(9, 4)
    with pytest.raises(ValueError, match=r"need folds.*Cs=\(0\.0625, 0\.25"):
        fit_softmax_regression(features, class_ids, 3)


def unequal(counts, seed=0, d=12, spread=0.4, outside=600):
    """Labelled blobs with so many of each class, the weights that the classes get, and others to judge by."""
    features, class_ids = blobs(outside * len(counts), d, k=len(counts), seed=seed, spread=spread)
    taken = np.concatenate([np.flatnonzero(class_ids == c)[:count] for c, count in enumerate(counts)])
    rest = np.setdiff1d(np.arange(len(class_ids)), taken)
    labels = class_ids[taken]
    weights = share_weights(labels, len(counts)) or {}
    weight = np.array([weights.get(int(c), 1.0) for c in labels], np.float32)
    return features[taken], labels, weight, features[rest], class_ids[rest]


@pytest.mark.parametrize("counts", [(3, 2, 2, 2, 2, 1), (2, 3), (12, 1, 1), (10, 10, 40), (5, 1)])
def test_few_and_unequal_labels_do_not_decide_for_the_class_that_has_more(counts):
    right = []
    for seed in range(3):
        features, labels, weight, others, truth = unequal(counts, seed)
        folds = stratified_folds(labels, 5, 0)
        model = fit_softmax_regression(features, labels, len(counts), folds=folds, sample_weight=weight)
        right.append((predicted(model, others).argmax(axis=1) == truth).mean())
    assert np.mean(right) > 0.85


@pytest.mark.parametrize("counts", [(3, 2, 2), (4, 12), (9, 3, 1), (6, 6)])
def test_a_temperature_that_lowers_confidence_changes_no_decision(counts):
    features, labels, weight, others, _ = unequal(counts)
    # Labels that have nothing to do with the features: held-out examples bear nothing out.
    features = features[np.random.default_rng(1).permutation(len(features))]
    folds = stratified_folds(labels, 5, 0)
    model = fit_softmax_regression(
        features, labels, len(counts), folds=folds, Cs=[16.0], sample_weight=weight
    )
    plain = fit_softmax_regression(features, labels, len(counts), Cs=[16.0], sample_weight=weight)
    assert np.exp(-1) - 1e-3 <= model.scale < 1.0
    decided = [predicted(one, others) for one in (model, plain)]
    sure = np.diff(np.sort(decided[1], axis=1)[:, -2:], axis=1)[:, 0] > 1e-3
    np.testing.assert_array_equal(*[one.argmax(axis=1)[sure] for one in decided])
    assert decided[0].max(axis=1).mean() < decided[1].max(axis=1).mean()


def test_the_only_example_of_a_class_does_not_lower_the_confidence_in_others():
    features, labels, _, _, _ = unequal((12, 12, 1), spread=0.2)
    heavy = np.where(labels == 2, 12.0, 1.0).astype(np.float32)
    folds = stratified_folds(labels, 5, 0)
    model = fit_softmax_regression(features, labels, 3, folds=folds, sample_weight=heavy)
    held_out = model.out_of_fold[np.arange(25), labels]
    assert held_out[:24].mean() > 0.9
    assert held_out[24] < 0.5


def test_one_example_of_each_class_chooses_nothing():
    features, labels, _, others, truth = unequal((1, 1, 1), spread=0.2)
    folds = stratified_folds(labels, 5, 0)
    model = fit_softmax_regression(features, labels, 3, folds=folds)
    assert (model.C, model.scale) == (16.0, 1.0)
    assert (predicted(model, others).argmax(axis=1) == truth).mean() > 0.9


@pytest.mark.parametrize(
    ("counts", "penalty"), [((2, 2), 64.0), ((4, 3, 2), 64.0), ((4, 4, 1), 16.0), ((1, 1), 16.0)]
)
def test_where_no_class_has_labels_enough_to_choose_how_few_there_are_decides(counts, penalty):
    features, labels, weight, _, _ = unequal(counts, spread=0.5)
    folds = stratified_folds(labels, 5, 0)
    model = fit_softmax_regression(features, labels, len(counts), folds=folds, sample_weight=weight)
    assert penalty == model.C


@pytest.mark.parametrize("counts", [(2, 2), (3, 2, 2), (2, 2, 2, 2)])
def test_holding_out_one_of_two_does_not_turn_the_others_against_it(counts):
    features, labels, weight, _, _ = unequal(counts, spread=0.1)
    folds = stratified_folds(labels, 5, 0)
    model = fit_softmax_regression(features, labels, len(counts), folds=folds, sample_weight=weight)
    assert (model.out_of_fold.argmax(axis=1) == labels).all()
