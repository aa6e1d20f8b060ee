"""What maps are worth on the earlier sets: labels where the sets are alike, none where they are not."""

import numpy as np
import pytest

from tfautolabel.training.meta import Task
from tfautolabel.training.meta.whitening import whitening
from tfautolabel.training.meta.worth import _compared, worth_of

D = 12


def task(seed, noisy, per_class=40, k=3):
    """Classes differ in all features; some features vary much within each class."""
    rng = np.random.default_rng(seed)
    class_ids = np.arange(per_class * k) % k
    features = rng.normal(size=(k, D))[class_ids] + rng.normal(0.0, 0.5, (len(class_ids), D))
    features[:, noisy] += rng.normal(0.0, 5.0, (len(class_ids), len(noisy)))
    return Task(features.astype(np.float32), class_ids)


def test_sets_that_are_alike_save_each_other_labels():
    found = worth_of([task(seed, noisy=[0, 1, 2]) for seed in range(3)], whitening, 0)
    assert found["sets"] == 3
    assert found["points"] > 1.0
    assert found["more"] > 1.0
    assert f"{found['more']:.0f} labels a class more beside 8" in found["why"]


def test_sets_that_are_not_alike_save_nothing():
    found = worth_of([task(0, noisy=[0, 1, 2, 3]), task(1, noisy=[4, 5, 6, 7])], whitening, 0)
    assert found["sets"] == 2
    assert found["more"] < 1.0


@pytest.mark.parametrize("tasks", [[task(0, [0])], [task(0, [0], per_class=19), task(1, [0], per_class=19)]])
def test_a_single_set_and_small_ones_say_nothing(tasks):
    found = worth_of(tasks, whitening, 0)
    assert found["sets"] == 0
    assert "two earlier sets or more" in found["why"]


@pytest.mark.parametrize(
    ("mapped", "more", "at_least"),
    [(0.5, 0.0, False), (0.6, 0.0, False), (0.65, 2.0, False), (0.7, 4.0, False), (0.9, 8.0, True)],
)
def test_labels_are_read_off_the_curve(mapped, more, at_least):
    found = _compared([8, 12, 16], np.array([0.6, 0.7, 0.8]), mapped)
    assert found.more == pytest.approx(more)
    assert found.at_least == at_least
    assert found.points == pytest.approx(100 * (mapped - 0.6))


def test_more_labels_that_gave_nothing_are_not_counted():
    assert _compared([8, 12, 16], np.array([0.7, 0.7, 0.69]), 0.7).more == 0.0
