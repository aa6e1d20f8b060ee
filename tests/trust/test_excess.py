import numpy as np

from tfautolabel.trust.excess import LEVEL, SUSPECT, Scored, threshold_for


def draw(rng, n, pool, unlike=0.0, shift=3.0):
    """Scores of held-out examples and of a pool with a share of unlike ones, in one class."""
    scores = np.where(rng.random(pool) < unlike, rng.normal(shift, 1.0, pool), rng.normal(size=pool))
    return rng.normal(size=n), scores


def one_class(scores):
    return Scored(scores, np.zeros(len(scores), int))


def threshold(held_out, pool, refused=0.02):
    return threshold_for(one_class(held_out), np.zeros(len(held_out), int), one_class(pool), refused)


def test_a_pool_like_the_labels_seldom_lowers_the_threshold():
    rng = np.random.default_rng(0)
    for n, pool in ((10, 2000), (30, 70), (200, 1000)):
        pairs = [draw(rng, n, pool) for _ in range(100)]
        alarms = [threshold(*pair).value < np.quantile(pair[0], 0.95) for pair in pairs]
        assert np.mean(alarms) <= 3 * LEVEL


def test_if_nothing_is_shown_to_be_unlike_no_more_of_the_pool_is_refused_than_was_asked_for():
    rng = np.random.default_rng(1)
    for n in (2, 5, 12, 40, 100):
        shares, few = [], []
        for _ in range(30):
            held_out, pool = draw(rng, n, 600)
            found = threshold(held_out, pool, 0.05)
            shares.append((pool > found.value).mean())
            few.append(found.few)
        assert np.median(shares) <= 0.05
        assert np.mean(np.array(shares) > 0.06) <= 2 * SUSPECT
        assert any(few) == (n < 19)


def test_a_kind_without_labels_lowers_it_until_few_pass():
    rng = np.random.default_rng(2)
    for n in (30, 60, 200):
        passed, few = [], []
        for _ in range(40):
            held_out, scores = draw(rng, n, 2000, unlike=0.3)
            found = threshold(held_out, scores)
            few.append(found.few)
            passed.append((scores <= found.value)[scores > 2.0].mean())
        assert np.mean(passed) < 0.3
        assert np.mean(few) < 0.1


def test_other_shares_of_the_classes_do_not_count_as_unlike():
    rng, alarms = np.random.default_rng(3), []
    for _ in range(100):
        class_ids, truth = np.repeat([0, 1], 20), (rng.random(2000) < 0.9).astype(int)
        # A fifth of each class is nearest to the other one.
        nearest, pool_nearest = (
            np.where(rng.random(len(ids)) < 0.2, 1 - ids, ids) for ids in (class_ids, truth)
        )
        held_out = Scored(class_ids * 1.5 + rng.normal(size=40), nearest)
        pool = Scored(truth * 1.5 + rng.normal(size=2000), pool_nearest)
        found = threshold_for(held_out, class_ids, pool, 0.02)
        alarms.append((pool.scores > found.value).mean() > 0.1)
    assert np.mean(alarms) <= 0.05


def test_without_a_pool_the_held_out_scores_decide():
    scores = np.arange(10.0)
    assert threshold_for(one_class(scores), np.zeros(10, int), None, 0.02) == (9.0, False)
    assert threshold_for(one_class(scores), np.zeros(10, int), None, 0.3).value == 7.0


def test_next_to_nothing_is_enough():
    assert threshold(np.array([1.0]), np.array([5.0])).value == 5.0
    assert threshold(np.array([1.0, 2.0]), np.zeros(1)).value == 2.0
    same = threshold(np.ones(20), np.ones(50))
    assert same.value == 1.0
    elsewhere = Scored(np.ones(50), np.ones(50, int))
    assert threshold_for(one_class(np.zeros(20)), np.zeros(20, int), elsewhere, 0.02).value <= 1.0
