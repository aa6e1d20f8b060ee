import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.measures.label_quality import judge_labels, label_scores


def held_out(rng, n=300, k=3):
    """Truth, and the probabilities of a calibrated model that is right for about 97 %."""
    scores = 8.0 * rng.random((n, k))
    scores[np.arange(n), np.arange(n) % k] += 8.0
    odds = np.exp(scores)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    truth = (rng.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    return truth, probabilities


def with_wrong(rng, truth, k, wrong):
    planted = rng.choice(len(truth), wrong, replace=False)
    labels = truth.copy()
    labels[planted] = (labels[planted] + rng.integers(1, k, wrong)) % k
    return labels, planted


def test_the_score_is_the_probability_of_the_given_label():
    probabilities = np.array([[0.2, 0.8], [0.6, 0.4], [1.0, 0.0]], np.float32)
    np.testing.assert_allclose(label_scores(np.array([1, 1, 0]), probabilities), [0.8, 0.4, 1.0], rtol=1e-6)


@pytest.mark.parametrize("wrong", [8, 15, 45])
@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_found_and_counted(wrong, seed):
    rng = np.random.default_rng(seed)
    truth, probabilities = held_out(rng)
    labels, planted = with_wrong(rng, truth, 3, wrong)
    quality = judge_labels(labels, probabilities)
    assert 0.5 * wrong <= quality.number <= 2.0 * wrong
    assert np.isin(planted, quality.to_check).mean() > 0.7
    found = np.isin(quality.to_check, planted)
    assert len(quality.to_check) == min(
        max(12, round(1.5 * quality.number)), np.count_nonzero(quality.likelier != labels)
    )
    assert 0.5 * found.sum() <= quality.wrong_among(quality.to_check) <= 2.0 * found.sum()
    known = np.intersect1d(quality.suspects, planted)
    assert (quality.likelier[known] == truth[known]).mean() > 0.9


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_whatever_the_labels_the_judgement_agrees_with_itself(seed, n, k):
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.integers(0, k, n), rng.dirichlet(np.full(k, 0.3), n)
    probabilities[rng.random(n) < 0.6] = 0.01
    probabilities[np.arange(n), labels] += 0.5 * rng.random(n)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    quality = judge_labels(labels, probabilities)
    assert sorted(quality.order) == list(range(n))
    assert ((quality.scores >= 0) & (quality.scores <= 1)).all()
    assert ((quality.chances >= 0) & (quality.chances <= 1)).all()
    contradicted = quality.likelier != labels
    assert (np.diff(quality.scores[quality.order][: contradicted.sum()]) >= 0).all()
    assert contradicted[quality.order][: contradicted.sum()].all()
    if quality.number is None:
        assert not len(quality.to_check)
        assert not quality.chances.any()
    else:
        assert quality.chances.sum() == pytest.approx(quality.number, abs=1e-6)
        assert (quality.chances[~contradicted] == 0).all()
        assert quality.to_check[: len(quality.suspects)].tolist() == quality.suspects.tolist()
    moved = rng.permutation(n)
    again = judge_labels(labels[moved], probabilities[moved])
    np.testing.assert_array_equal(again.scores, quality.scores[moved])
    assert (again.number is None) == (quality.number is None)
    if quality.number is not None:
        assert again.number == pytest.approx(quality.number)


@pytest.mark.parametrize("seed", range(5))
def test_a_model_that_guesses_suspects_nobody(seed):
    rng = np.random.default_rng(seed)
    quality = judge_labels(rng.integers(0, 2, 30), rng.dirichlet(np.ones(2), 30))
    assert quality.number is None
    assert len(quality.suspects) == len(quality.to_check) == 0
    assert len(judge_labels(np.zeros(0, np.int64), np.zeros((0, 2))).to_check) == 0


def test_right_labels_are_left_alone():
    truth = np.arange(60) % 3
    probabilities = np.where(truth[:, None] == np.arange(3), 0.9, 0.05)
    quality = judge_labels(truth, probabilities)
    assert quality.number == 0.0
    assert len(quality.to_check) == 0
    np.testing.assert_array_equal(quality.likelier, truth)


@pytest.mark.parametrize("copies", [1, 3])
def test_labels_of_a_class_with_one_example_or_its_copies_are_not_judged(copies):
    labels = np.array([0, 1] * 20 + [2] * copies)
    probabilities = np.where(labels[:, None] == np.arange(3), 0.9, 0.05)
    probabilities[40:] = [0.98, 0.01, 0.01]
    groups = np.minimum(np.arange(len(labels)), 40)
    quality = judge_labels(labels, probabilities, groups=groups)
    assert quality.likelier[40:].tolist() == [2] * copies
    assert set(quality.order[-copies:]) == set(range(40, 40 + copies))
    assert len(quality.to_check) == 0


@pytest.mark.parametrize(
    ("class_ids", "shape", "message"),
    [([0, 1], (3, 2), "Received: shapes"), ([0, 2], (2, 2), "must lie in"), ([0], (2,), "Received: shapes")],
)
def test_what_does_not_fit_is_refused(class_ids, shape, message):
    with pytest.raises(ValueError, match=message):
        judge_labels(np.array(class_ids), np.full(shape, 0.5))
