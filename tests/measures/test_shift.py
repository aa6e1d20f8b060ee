import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tfautolabel.measures.shift import FEWEST, Shift, class_shares, domain_gap, find_shift

MEANS = np.random.default_rng(9).normal(size=(3, 24)) * 1.2
NAMES = ("a", "b", "c")


def drawn(class_ids, rng, moved=0.0):
    return MEANS[class_ids] + rng.normal(size=(len(class_ids), 24)) + moved


def shift_of(seed, shares=(1, 1, 1), moved=0.0, per_class=16, pool=400):
    rng = np.random.default_rng(seed)
    class_ids = np.repeat(np.arange(3), per_class)
    labelled = drawn(class_ids, rng)
    of_pool = rng.choice(3, pool, p=np.array(shares) / sum(shares))
    features = drawn(of_pool, rng, moved)
    head = LogisticRegression(C=0.1).fit(labelled, class_ids)
    return find_shift(labelled, class_ids, features, head.predict_proba(features), seed=seed)


def test_the_same_population_is_rarely_called_another():
    # At most 1 in 100 by construction: 7 of 100 would happen once in 10,000 times.
    assert sum(shift_of(seed, pool=120).gap.found for seed in range(100)) < 7


def test_p_values_are_uniform_if_nothing_differs():
    rng = np.random.default_rng(3)
    found = np.array([domain_gap(*rng.normal(size=(2, 30, 5)), permutations=19).p_value for _ in range(300)])
    assert 0.30 < (found <= 0.4).mean() < 0.50
    assert found.min() == 0.05


def test_other_inputs_are_noticed():
    direction = np.random.default_rng(2).normal(size=24)
    assert all(shift_of(seed, moved=direction).changed == "inputs" for seed in range(10))
    both = [shift_of(seed, shares=(10, 1, 1), moved=direction) for seed in range(10)]
    assert all(shift.changed == "inputs" for shift in both)
    assert both[0].other_population == 0.005


def test_other_shares_of_the_classes_are_told_from_other_inputs():
    found = [shift_of(seed, shares=(12, 2, 1), pool=900) for seed in range(20)]
    changed = [shift.changed for shift in found]
    assert changed.count("classes") > 15
    assert changed.count("inputs") < 2
    shares = np.mean([shift.pool_shares for shift in found], axis=0)
    np.testing.assert_allclose(shares, [0.8, 0.133, 0.067], atol=0.05)
    told = next(shift for shift in found if shift.changed == "classes").sentences(NAMES)
    assert "(about a 8" in told[0]
    assert "not 33%" in told[0]
    assert next(shift for shift in found if shift.changed == "classes").other_population is None


def test_shares_are_those_of_the_sure_and_lean_to_the_prior():
    prior = np.array([0.5, 0.5])
    even = np.full((50, 2), 0.5)
    np.testing.assert_allclose(class_shares(even, prior), prior)
    sure = np.repeat([[0.999, 0.001], [0.001, 0.999]], [95, 5], axis=0)
    assert 0.90 < class_shares(sure, prior)[0] < 0.95


def test_copies_on_both_sides_are_no_difference():
    values = np.random.default_rng(0).normal(size=(60, 8))
    assert domain_gap(values, values).p_value > 0.2


def test_nothing_depends_on_scale_or_order():
    rng = np.random.default_rng(1)
    labelled, pool = rng.normal(0.3, size=(40, 6)), rng.normal(size=(90, 6))
    found = domain_gap(labelled, pool, seed=4)
    scaled = domain_gap(labelled * 7.0, pool * 0.5, seed=4)
    assert scaled.auc == pytest.approx(found.auc, abs=1e-9)
    assert scaled.p_value == found.p_value


def test_a_record_gives_it_back():
    shift = shift_of(0, moved=1.0)
    assert Shift.from_dict(without_changed(json.loads(json.dumps(shift.to_dict())))) == shift


def without_changed(entries):
    assert entries["changed"] == "inputs"
    return entries


@pytest.mark.parametrize(
    ("labelled", "pool", "message"),
    [
        (np.zeros((FEWEST - 1, 3)), np.zeros((20, 3)), "at least 8 examples. Received: 7 and 20"),
        (np.zeros((20, 3)), np.zeros((20, 4)), r"shapes \(20, 3\) and \(20, 4\)"),
    ],
)
def test_misses(labelled, pool, message):
    with pytest.raises(ValueError, match=message):
        domain_gap(labelled, pool)
