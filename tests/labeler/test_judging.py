import numpy as np

from tfautolabel.labeler.judging import HeldOut, can_be_judged, cross_validation_of


def held_out(probabilities, class_ids, drawn=None):
    return HeldOut(probabilities, class_ids, np.zeros(len(class_ids), bool), 5, drawn)


def test_the_only_example_of_a_class_cannot_be_judged():
    class_ids = np.array([0, 1, 0, 2, 1, 0])
    assert can_be_judged(class_ids, 3).tolist() == [True, True, True, False, True, True]


def test_classes_of_one_label_are_named_and_count_as_the_mistakes_that_they_are():
    class_ids = np.array([0, 0, 1, 2, 0])
    said = cross_validation_of(held_out(np.eye(3)[[0, 0, 0, 0, 0]], class_ids), ["a", "b", "c"])
    assert said["one_label"] == ["b", "c"]
    assert (said["accuracy"], said["examples"], said["folds"]) == (0.6, 5, 5)
    assert said["accuracy_interval_95"][0] < 0.6 < said["accuracy_interval_95"][1]
    assert cross_validation_of(held_out(np.eye(2), np.array([0, 0])), ["a", "b"])["one_label"] == []


def test_a_class_of_copies_of_one_example_cannot_be_judged():
    class_ids, groups = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 2, 2])
    assert can_be_judged(class_ids, 2, groups).tolist() == [True, True, False, False, False]
    assert can_be_judged(class_ids, 2, np.zeros(5, int)).all()


def test_accuracy_comes_from_the_drawn_ones_only():
    class_ids = np.array([0, 1, 0, 1, 0, 1])
    drawn = np.array([False, False, True, True, True, False])
    probabilities = np.eye(2)[[1, 0, 0, 1, 1, 0]]
    said = cross_validation_of(held_out(probabilities, class_ids, drawn), ["a", "b"])
    assert (said["accuracy"], said["examples"], said["drawn"]) == (2 / 3, 3, True)
    assert (
        held_out(probabilities, class_ids, drawn).in_order(np.arange(6)[::-1]).drawn.tolist()
        == drawn[::-1].tolist()
    )


def test_without_a_drawn_one_nothing_is_known():
    nobody = held_out(np.eye(2)[[0, 1]], np.array([0, 1]), np.zeros(2, bool))
    said = cross_validation_of(nobody, ["a", "b"])
    assert (said["examples"], said["accuracy_interval_95"]) == (0, [0.0, 1.0])
