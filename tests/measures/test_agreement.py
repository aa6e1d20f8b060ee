"""Agreement equals what scikit-learn and a worked example of Fleiss' paper give."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tfautolabel.measures.agreement import measure_agreement


@pytest.mark.parametrize("seed", range(5))
def test_two_people_as_in_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    one = rng.choice(list("abc"), 80)
    two = np.where(rng.random(80) < 0.6, one, rng.choice(list("abc"), 80))
    found = measure_agreement([{"p": x, "q": y} for x, y in zip(one, two, strict=True)])
    assert found.kind == "Cohen's kappa"
    assert found.items == 80
    assert found.percent == pytest.approx((one == two).mean())
    assert found.kappa == pytest.approx(cohen_kappa_score(one, two))


FLEISS = (
    """0 0 0 0 14|0 2 6 4 2|0 0 3 5 6|0 3 9 2 0|2 2 8 1 1|7 7 0 0 0|3 2 6 3 0|2 5 3 2 2|6 5 2 1 0|0 2 2 3 7"""
)
"""Ten examples, fourteen people and five classes: the example of https://en.wikipedia.org/wiki/Fleiss'_kappa."""


def test_more_people_as_in_the_worked_example():
    answers = []
    for row in FLEISS.split("|"):
        given = [name for name, count in enumerate(map(int, row.split())) for _ in range(count)]
        answers.append({str(person): str(name) for person, name in enumerate(given)})
    found = measure_agreement(answers)
    assert found.kind == "Fleiss' kappa"
    assert found.kappa == pytest.approx(0.210, abs=5e-4)
    assert found.percent == pytest.approx(0.378, abs=5e-4)


def test_examples_with_one_answer_say_nothing():
    assert measure_agreement([]) is None
    assert measure_agreement([{"p": "a"}]) is None
    assert measure_agreement([{"p": "a"}, {"p": "a", "q": "b"}]).items == 1


def test_one_class_for_all_has_no_kappa():
    found = measure_agreement([{"p": "a", "q": "a"}] * 3)
    assert found.percent == 1.0
    assert math.isnan(found.kappa)
