import numpy as np
import pytest

from tfautolabel.training.class_weights import class_weights

CLASSES = ["cat", "dog"]


def test_balanced_gives_every_class_the_same_total_and_keeps_the_sum():
    class_ids = np.array([0] * 9 + [1] * 3)
    weights = class_weights("balanced", class_ids, CLASSES)
    totals = [weights[i] * np.count_nonzero(class_ids == i) for i in (0, 1)]
    assert totals == pytest.approx([6.0, 6.0])


def test_names_become_ids_and_the_others_weigh_one():
    assert class_weights({"dog": 3}, np.array([0, 1]), CLASSES) == {0: 1.0, 1: 3.0}
    assert class_weights(None, np.array([0, 1]), CLASSES) is None
    assert class_weights(None, np.array([0, 1, 1]), CLASSES, "chosen") == {0: 1.5, 1: 0.75}
    assert class_weights({}, np.array([0, 1]), CLASSES) == {0: 1.0, 1: 1.0}


@pytest.mark.parametrize(
    "given",
    [
        "even",
        {"bird": 1.0},
        {"dog": 0.0},
        {"dog": -1},
        {"dog": float("nan")},
        {"dog": float("inf")},
        {"dog": "2"},
        ["cat"],
        3,
    ],
)
def test_anything_else_is_refused_with_the_valid_names(given):
    with pytest.raises(ValueError, match=r"names among cat, dog\. Received: class_weight="):
        class_weights(given, np.array([0, 1]), CLASSES)
