"""What a head learns from descriptions that fit, and from some that do not."""

import keras
import numpy as np
import pytest

from tfautolabel.heads import LinearHead
from tfautolabel.labeler.described_head import learn_described
from tfautolabel.labeler.descriptions import ASSUMED, DescribedClasses, DescribedPool

K, D = 3, 12


def points(count, seed, noise=1.0):
    """Three clouds around the first axes, and their classes."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, K, count)
    return (np.eye(K, D)[ids] * 2 + noise * rng.normal(size=(count, D)) / 2).astype(np.float32), ids


def pool_of(features, directions=None):
    directions = np.eye(K, D) if directions is None else directions
    centre = directions.mean(axis=0)
    return DescribedPool(DescribedClasses(centre, directions - centre), features)


def learn(described, features, ids, seed=0):
    head = LinearHead(D, K)
    head.compile()
    learnt = learn_described(head, described.features, described.probabilities(), features, ids, seed=seed)
    return head, learnt


def right(head, features, ids):
    return (keras.ops.convert_to_numpy(head(features)).argmax(axis=1) == ids).mean()


NONE = np.zeros((0, D), np.float32), np.zeros(0, np.int64)


def test_without_labels_the_head_follows_the_descriptions():
    features, ids = points(400, 1)
    described = pool_of(features)
    given = described.probabilities()
    assert given.max(axis=1).mean() == pytest.approx(1 / K + (1 - 1 / K) * ASSUMED, abs=1e-3)
    head, learnt = learn(described, *NONE)
    assert right(head, *points(400, 2)) >= (given.argmax(axis=1) == ids).mean() - 0.01 > 0.85
    assert learnt.out_of_fold.shape == (0, K)
    assert learnt.record["shares"] == {"descriptions": 1.0}
    assert "no labels" in learnt.record["why"]


def test_shares_of_classes_far_from_equal_stay():
    features, ids = points(2000, 3)
    kept = np.flatnonzero(ids == 0)
    kept = np.sort(np.concatenate([kept, np.flatnonzero(ids != 0)[:60]]))
    head, _ = learn(pool_of(features[kept]), *NONE)
    assert right(head, features[kept], ids[kept]) > 0.9


def test_few_labels_beside_descriptions_that_fit():
    features, ids = points(400, 1)
    gold = points(12, 5)
    head, learnt = learn(pool_of(features), *gold)
    plain = LinearHead(D, K)
    plain.compile()
    plain.fit(*gold)
    assert right(head, features, ids) > right(plain, features, ids)
    assert learnt.record["shares"]["labels"] < 0.9
    assert learnt.record["worth"]["with"] == (learnt.out_of_fold.argmax(axis=1) == gold[1]).mean().round(4)


@pytest.mark.parametrize("n", [18, 90])
def test_descriptions_that_do_not_fit_lose_their_say(n):
    features, ids = points(400, 1)
    wrong = np.roll(np.eye(K, D), 1, axis=0)
    gold = points(n, 7)
    head, learnt = learn(pool_of(features, wrong), *gold)
    plain = LinearHead(D, K)
    plain.compile()
    plain.fit(*gold)
    assert right(head, features, ids) >= right(plain, features, ids) - 0.01
    assert learnt.record["shares"]["labels"] > 0.95
    assert "add nothing" in learnt.record["why"]


@pytest.mark.parametrize("n", [6, 60])
def test_held_out_probabilities_have_not_seen_the_label(n):
    features, _ = points(300, 1)
    gold, ids = points(n, 8)
    described = pool_of(features)
    before = learn(described, gold, ids)[1].out_of_fold
    rng = np.random.default_rng(0)
    # Descriptions and labels agree; labels at random get no better than the descriptions make them.
    shuffled = rng.permutation(ids)
    after = learn(described, gold, shuffled)[1].out_of_fold
    assert (before.argmax(axis=1) == ids).mean() > 0.8
    assert (after.argmax(axis=1) == shuffled).mean() < 0.7


def test_a_class_without_a_label_is_known_by_its_description():
    features, ids = points(400, 1)
    gold, labels = points(40, 9)
    kept = labels != 2
    head, learnt = learn(pool_of(features), gold[kept], labels[kept])
    assert "labels" not in learnt.record["shares"]
    found = keras.ops.convert_to_numpy(head(features)).argmax(axis=1)
    assert (found[ids == 2] == 2).mean() > 0.8
