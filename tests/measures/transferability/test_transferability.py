"""Each score equals a slow, direct computation, and has the symmetries that its docstring states."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from tfautolabel.measures import transferability
from tfautolabel.measures.transferability import (
    h_score,
    log_evidence,
    nearest_mean_accuracy,
    nearest_mean_right,
    neighbour_accuracy,
    nleep,
)

SCORES = {
    "nearest mean": nearest_mean_accuracy,
    "neighbours": neighbour_accuracy,
    "evidence": log_evidence,
    "h score": h_score,
    "nleep": nleep,
}


def drawn(seed, n=40, d=7, k=3, gap=1.2):
    rng = np.random.default_rng(seed)
    class_ids = np.concatenate([np.repeat(np.arange(k), 2), rng.integers(0, k, n - 2 * k)])
    return rng.normal(size=(n, d)) + gap * rng.normal(size=(k, d))[class_ids], class_ids


@pytest.mark.parametrize("seed", range(6))
def test_nearest_mean_equals_the_loop_over_examples(seed):
    features, class_ids = drawn(seed)
    features += 100.0 * seed
    expected = []
    for row in range(len(features)):
        left = np.arange(len(features)) != row
        means = [features[left & (class_ids == c)].mean(axis=0) for c in range(3)]
        expected.append(np.argmin([np.linalg.norm(features[row] - mean) for mean in means]) == class_ids[row])
    assert nearest_mean_right(features, class_ids).tolist() == expected
    assert nearest_mean_accuracy(features, class_ids) == pytest.approx(np.mean(expected))
    assert 0.2 < np.mean(expected) < 1.0 or seed, "the loop has something to disagree about"


def test_what_cannot_be_told_is_not_right():
    features, class_ids = drawn(0)
    assert not nearest_mean_right(np.ones_like(features), class_ids).any(), "equal distances"
    assert not nearest_mean_right(features[:3], np.arange(3)).any(), "no class has a second example"
    alone = nearest_mean_right(np.array([[0.0], [0.1], [9.0]]), np.array([4, 4, 7]))
    assert alone.tolist() == [True, True, False]


@pytest.mark.parametrize("neighbours", [1, 3, 60])
@pytest.mark.parametrize("seed", range(3))
def test_neighbours_equal_the_loop_over_examples(seed, neighbours, monkeypatch):
    monkeypatch.setattr(transferability.nearest_neighbours, "_BLOCK", 7)
    features, class_ids = drawn(seed)
    centred = features - features.mean(axis=0)
    right = 0
    for row in range(len(features)):
        cosines = centred @ centred[row] / np.linalg.norm(centred, axis=1) / np.linalg.norm(centred[row])
        others = sorted((other for other in range(len(features)) if other != row), key=lambda o: -cosines[o])
        votes = dict.fromkeys(range(3), 0.0)
        for other in others[:neighbours]:
            votes[class_ids[other]] += 1 + 0.1 * cosines[other]
        right += max(votes, key=votes.get) == class_ids[row]
    assert neighbour_accuracy(features, class_ids, neighbours) == pytest.approx(right / len(features))


@pytest.mark.parametrize(("seed", "n", "d"), [(0, 30, 4), (1, 12, 12), (2, 10, 25), (3, 24, 9)])
def test_evidence_equals_the_density_of_the_labels_at_its_maximum(seed, n, d):
    features, class_ids = drawn(seed, n, d, 2)

    def negative(logs, target):
        weights, noise = np.exp(logs)
        covariance = features @ features.T * weights + noise * np.eye(n)
        return -multivariate_normal.logpdf(target, np.zeros(n), covariance)

    best = []
    for number in range(2):
        target = (class_ids == number).astype(float)
        starts = [(a, b) for a in (-6.0, -3.0, 0.0) for b in (-8.0, -4.0, -1.0)]
        found = [
            minimize(negative, start, (target,), "L-BFGS-B", bounds=[(-25, 6), (-12, 6)]) for start in starts
        ]
        best.append(-min(one.fun for one in found))
    brute = np.mean(best) / n
    assert log_evidence(features, class_ids) >= brute - 1e-6
    assert log_evidence(features, class_ids) == pytest.approx(brute, abs=5e-3)


@pytest.mark.parametrize(("seed", "n", "d"), [(0, 60, 5), (1, 12, 30), (2, 30, 30)])
def test_h_score_equals_the_inverse_of_ledoit_and_wolfs_covariance(seed, n, d):
    features, class_ids = drawn(seed, n, d)
    fitted = LedoitWolf().fit(features)
    means = np.stack([features[class_ids == c].mean(axis=0) for c in range(3)])[class_ids]
    between = np.cov(means.T, bias=True)
    expected = (1 - fitted.shrinkage_) * np.trace(np.linalg.inv(fitted.covariance_) @ between)
    assert h_score(features, class_ids) == pytest.approx(expected, rel=1e-6)
    assert 0.0 < fitted.shrinkage_ < 1.0
    assert 0.0 <= h_score(features, class_ids) <= 2.0


def test_nleep_equals_the_sum_over_clusters_and_reaches_its_bounds():
    features, class_ids = drawn(4, 60, 2, gap=8.0)
    assert nleep(features, class_ids) == pytest.approx(0.0, abs=0.05)
    noise = np.random.default_rng(0).normal(size=(600, 5))
    labels = np.random.default_rng(1).integers(0, 3, 600)
    assert nleep(noise, labels) == pytest.approx(-np.log(3), abs=0.05)
    assert nleep(noise, labels, seed=1) == nleep(noise, labels, seed=1)
    # Two points far apart are two clusters; the labels of the second are half and half.
    points = np.repeat([[0.0], [9.0]], 8, axis=0)
    assert nleep(points, np.array([0] * 8 + [0, 1] * 4)) == pytest.approx(np.log(0.5) / 2, abs=1e-6)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("seed", range(3))
def test_scores_have_the_symmetries_of_their_docstrings(name, seed):
    score, (features, class_ids) = SCORES[name], drawn(seed)
    plain = score(features, class_ids)
    assert score(features, 7 - 2 * class_ids) == pytest.approx(plain), "names of classes"
    assert score(1000.0 * features, class_ids) == pytest.approx(plain, abs=1e-6), "scale"
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(7, 7)))[0]
    assert score(features @ turn, class_ids) == pytest.approx(plain, abs=1e-6), "rotation"
    if name != "nleep":  # a mixture starts from other examples if they are in another order
        order = np.random.default_rng(seed).permutation(len(class_ids))
        assert score(features[order], class_ids[order]) == pytest.approx(plain)
    if name != "evidence":
        assert score(features + 5.0, class_ids) == pytest.approx(plain, abs=1e-6), "position"
    shuffled = np.random.default_rng(seed).permutation(class_ids)
    assert score(features, shuffled) < plain, "labels that fit are better than others"


@pytest.mark.parametrize("name", SCORES)
def test_scores_refuse_what_they_cannot_judge(name):
    score, (features, class_ids) = SCORES[name], drawn(0)
    with pytest.raises(ValueError, match=r"shape \(n,\). Received: shapes \(40, 7\) and \(39,\)"):
        score(features, class_ids[1:])
    with pytest.raises(ValueError, match=r"two classes at least. Received: 1"):
        score(features, np.zeros(40, int))
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match="in row 3"):
        score(features, class_ids)


@pytest.mark.parametrize("score", [h_score, nleep, lambda *given: log_evidence(0.0 * given[0], given[1])])
def test_scores_refuse_features_that_say_nothing(score):
    with pytest.raises(ValueError, match=r"Received: (equal rows|only zeros)"):
        score(np.ones((6, 2)), np.array([0, 1] * 3))


@pytest.mark.parametrize("name", SCORES)
def test_scores_take_more_examples_than_numbers_and_the_other_way(name):
    for shape in ((200, 2), (6, 90)):
        features, class_ids = drawn(1, *shape)
        assert np.isfinite(SCORES[name](features.astype(np.float32), class_ids))
