"""The head of a session, and what it says of examples that it has not seen."""

import numpy as np
import pytest

from tfautolabel.active import answer_head
from tfautolabel.active.answer_head import NormalizedFeatures, learn_answers

K = 4


def examples(n, seed=0):
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % (K - 1)  # the last class has no answer
    features = 2.0 * np.eye(K, 12)[class_ids] + rng.normal(size=(n, 12))
    return features.astype(np.float32), class_ids


@pytest.mark.parametrize("sign", [np.abs, np.positive])
def test_features_are_the_same_whether_they_are_kept_or_not(monkeypatch, sign):
    features = sign(examples(50)[0])
    kept = NormalizedFeatures(features)
    first = {part.start: rows for part, rows in kept.parts()}
    monkeypatch.setattr(answer_head, "KEPT_BYTES", 0)
    monkeypatch.setattr(answer_head, "_PART_ROWS", 20)
    again = NormalizedFeatures(features)
    parts = list(again.parts())
    assert [part.start for part, _ in parts] == [0, 20, 40]
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in parts]), first[0])
    np.testing.assert_array_equal(again[np.array([3, 1])], kept[np.array([3, 1])])
    np.testing.assert_allclose(np.linalg.norm(first[0], axis=1), 1.0, rtol=1e-5)


def test_the_order_of_the_answers_changes_nothing():
    features, class_ids = examples(30)
    pool, rows = NormalizedFeatures(features), np.arange(30)
    drawn = np.arange(30) % 5 == 0
    order = np.random.default_rng(1).permutation(30)
    head = learn_answers(pool, rows, class_ids, K, drawn=drawn)
    other = learn_answers(pool, order, class_ids[order], K, drawn=drawn[order])
    np.testing.assert_array_equal(other.weights, head.weights)
    np.testing.assert_array_equal(other.held_out, head.held_out[order])
    np.testing.assert_allclose(head.held_out.sum(axis=1), 1.0, rtol=1e-5)
    assert not head.held_out[:, K - 1].any()


def test_what_is_held_out_of_a_drawn_example_comes_from_all_others():
    features, class_ids = examples(24)
    pool, rows = NormalizedFeatures(features), np.arange(24)
    drawn = np.arange(24) < 6
    plain, head = (
        learn_answers(pool, rows, class_ids, K),
        learn_answers(pool, rows, class_ids, K, drawn=drawn),
    )
    np.testing.assert_array_equal(head.weights, plain.weights)
    np.testing.assert_array_equal(head.held_out[~drawn], plain.held_out[~drawn])
    changed = class_ids.copy()
    changed[0] = (changed[0] + 1) % (K - 1)
    told = learn_answers(pool, rows, changed, K, drawn=drawn)
    # Its own answer does not matter to the head that judges it, apart from the choice of C and the scale.
    assert told.held_out[0].argmax() == head.held_out[0].argmax()
    nearer = head.held_out[drawn][np.arange(6), class_ids[drawn]].mean()
    assert nearer > plain.held_out[drawn][np.arange(6), class_ids[drawn]].mean()


@pytest.mark.parametrize("answers", [[], [1], [1, 1]])
def test_there_is_no_head_before_two_classes_have_an_answer(answers):
    pool, n = NormalizedFeatures(examples(5)[0]), len(answers)
    assert learn_answers(pool, np.arange(n), np.array(answers, np.int64), K, drawn=np.ones(n, bool)) is None
