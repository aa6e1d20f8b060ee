import numpy as np

from tfautolabel.trust.excess import lowered_threshold


def draw(rng, n, pool, unlike=0.0, shift=3.0):
    """Scores of held-out examples and of a pool with a share of unlike ones, in one group."""
    scores = np.where(rng.random(pool) < unlike, rng.normal(shift, 1.0, pool), rng.normal(size=pool))
    return rng.normal(size=n), scores


def lowered(held_out, scores, held_out_groups=None, groups=None):
    zeros = np.zeros(len(held_out), int) if held_out_groups is None else held_out_groups
    groups = np.zeros(len(scores), int) if groups is None else groups
    return lowered_threshold(float(held_out.max()), held_out, zeros, scores, groups)


def test_a_pool_like_the_labels_seldom_lowers_the_threshold():
    rng = np.random.default_rng(0)
    for n, pool in ((10, 2000), (30, 70), (200, 1000)):
        pairs = [draw(rng, n, pool) for _ in range(200)]
        alarms = [lowered(held_out, scores) < held_out.max() for held_out, scores in pairs]
        assert np.mean(alarms) <= 0.08


def test_a_kind_without_labels_lowers_it_until_few_pass():
    rng = np.random.default_rng(1)
    for n in (20, 60, 200):
        passed = []
        for _ in range(40):
            held_out, scores = draw(rng, n, 2000, unlike=0.3)
            let_pass = scores <= lowered(held_out, scores)
            passed.append(let_pass[scores > 2.0].mean() if (scores > 2.0).any() else 0.0)
        assert np.mean(passed) < 0.25


def test_other_shares_of_the_classes_do_not_count_as_unlike():
    rng = np.random.default_rng(2)
    alarms = []
    for _ in range(100):
        groups, pool_groups = np.repeat([0, 1], 20), (rng.random(2000) < 0.9).astype(int)
        held_out, scores = groups * 1.5 + rng.normal(size=40), pool_groups * 1.5 + rng.normal(size=2000)
        alarms.append(lowered(held_out, scores, groups, pool_groups) < held_out.max())
    assert np.mean(alarms) <= 0.1


def test_it_never_rises_nor_fails_on_next_to_nothing():
    assert lowered(np.array([1.0]), np.array([5.0])) == 1.0
    assert lowered(np.array([1.0, 2.0]), np.zeros(0)) == 2.0
    rng = np.random.default_rng(3)
    held_out, scores = draw(rng, 50, 500, unlike=0.5)
    far = lowered_threshold(-9.0, held_out, np.zeros(50, int), scores, np.zeros(500, int))
    assert far == -9.0
    alone = lowered(held_out, scores, np.zeros(50, int), np.ones(500, int))
    assert alone == held_out.max()
