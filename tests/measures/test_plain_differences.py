import numpy as np
import pytest

from tfautolabel.measures.plain_differences import plain_differences


def drawn(seed, shift=0.0, count=80):
    return np.random.default_rng(seed).normal(shift, size=count)


def test_what_differs_comes_in_the_order_of_how_much():
    labelled = {"same": drawn(0), "more": drawn(1), "less": drawn(2)}
    pool = {"same": drawn(3), "more": drawn(4, 0.8), "less": drawn(5, -2.0)}
    less, more = plain_differences(labelled, pool)
    assert (less.name, more.name) == ("less", "more")
    assert less.larger < 0.2 < 0.6 < more.larger
    assert less.pool == pytest.approx(np.median(pool["less"]))


def test_chance_is_rarely_told():
    names = [f"{number}" for number in range(5)]
    told = [
        plain_differences(
            {name: drawn([seed, 0, int(name)]) for name in names},
            {name: drawn([seed, 1, int(name)]) for name in names},
        )
        for seed in range(100)
    ]
    assert sum(map(bool, told)) < 7


def test_a_side_without_values_differs_in_nothing():
    assert plain_differences({"a": np.zeros(0)}, {"a": np.ones(9)}) == []
