import numpy as np
import pytest

from tfautolabel.labeler.class_shares import PRIOR, with_shares_of
from tfautolabel.labeler.linear_model import Linear


def model(k=3):
    rng = np.random.default_rng(0)
    return Linear(rng.normal(size=(4, k)).astype(np.float32), rng.normal(size=k).astype(np.float32))


def test_shares_within_chance_change_nothing():
    found = model()
    labels = np.repeat([0, 1, 2], [12, 18, 20])
    taught = np.array([900.0, 50.0, 50.0])
    for class_ids, said in (
        (labels, [100.0, 110.0, 120.0]),
        (labels[:0], [100.0, 1.0, 1.0]),
        (labels[:12], [100.0, 0.0, 0.0]),
        (labels, [0.0, 0.0, 0.0]),
    ):
        assert with_shares_of(class_ids, found, taught, np.array(said)) is found


def test_odds_move_from_the_shares_that_were_taught_to_those_of_the_labels():
    found, taught = model(), np.array([900.0, 50.0, 50.0])
    labels = np.repeat([0, 1, 2], [10, 15, 15])
    corrected = with_shares_of(labels, found, taught, taught)
    wanted = (np.array([10, 15, 15]) + PRIOR * taught / 1000) / (40 + PRIOR)
    np.testing.assert_array_equal(corrected.weights, found.weights)
    np.testing.assert_allclose(corrected.bias - found.bias, np.log(wanted / (taught / 1000)), rtol=1e-5)


@pytest.mark.parametrize("unseen", [0, 1, 2])
def test_a_class_that_nothing_was_taught_of_stays_as_it_is(unseen):
    found, taught = model(), np.insert([900.0, 50.0], unseen, 0.0)
    labels = np.repeat(np.flatnonzero(taught), [10, 30])
    corrected = with_shares_of(labels, found, taught, taught)
    assert corrected.bias[unseen] == found.bias[unseen]
    assert (np.delete(corrected.bias - found.bias, unseen) != 0).all()
