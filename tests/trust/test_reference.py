import numpy as np

from tfautolabel.trust.reference import FEWEST, LEVEL, OF_CLASS, Reference

MEANS = np.random.default_rng(9).normal(size=(3, 40))


def drawn(count, rng, shares=(1, 1, 1), moved=0.0):
    """Features and predicted classes, of examples around three means."""
    class_ids = rng.choice(3, count, p=np.array(shares) / sum(shares))
    return 2.0 * MEANS[class_ids] + rng.normal(size=(count, 40)) + moved, class_ids


def p_values(shares=(1, 1, 1), moved=0.0, count=60, draws=60):
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        reference = Reference.of(*drawn(400, rng), 3)
        found.append(reference.p_value(*drawn(count, rng, shares, moved)))
    return np.array(found)


def test_the_same_population_is_hardly_ever_another():
    found = p_values()
    assert (found <= LEVEL).sum() == 0
    assert (found <= 0.05).mean() < 0.2


def test_other_shares_of_the_classes_are_no_difference():
    assert (p_values(shares=(8, 1, 1)) <= LEVEL).sum() == 0


def test_another_population_is_noticed_by_twenty_examples():
    direction = np.random.default_rng(2).normal(size=40)
    assert (p_values(moved=direction, count=20) <= LEVEL).mean() > 0.95


def test_a_direction_of_little_spread_counts_too():
    rng = np.random.default_rng(0)
    spread = np.linspace(3.0, 0.1, 40)
    made = Reference.of(rng.normal(size=(500, 40)) * spread + 5.0, np.zeros(500, np.int64), 1)
    new = rng.normal(size=(100, 40)) * spread + 5.0
    assert made.p_value(new, np.zeros(100, np.int64)) > LEVEL
    new[:, -1] += 0.5
    assert made.p_value(new, np.zeros(100, np.int64)) <= LEVEL


def test_no_example_is_kept():
    rng = np.random.default_rng(0)
    values, predicted = drawn(200, rng)
    predicted[:] = 0
    predicted[: OF_CLASS - 1] = 1
    made = Reference.of(values, predicted, 3)
    np.testing.assert_array_equal(made.means[1], made.means[3])
    assert made.counts.tolist() == [181, 200, 200, 200]
    assert Reference.of(values[: FEWEST - 1], predicted[: FEWEST - 1], 3) is None


def test_arrays_give_it_back():
    rng = np.random.default_rng(0)
    made, new = Reference.of(*drawn(100, rng), 3), drawn(30, rng)
    assert Reference(**made.arrays()).p_value(*new) == made.p_value(*new)
