import numpy as np

from tfautolabel.labeler.judging import can_be_judged, cross_validation_of


def test_the_only_example_of_a_class_cannot_be_judged():
    class_ids = np.array([0, 1, 0, 2, 1, 0])
    assert can_be_judged(class_ids, 3).tolist() == [True, True, True, False, True, True]


def test_classes_of_one_label_are_named_and_count_as_the_mistakes_that_they_are():
    class_ids = np.array([0, 0, 1, 2, 0])
    said = cross_validation_of(np.eye(3)[[0, 0, 0, 0, 0]], class_ids, ["a", "b", "c"], 5)
    assert said["one_label"] == ["b", "c"]
    assert (said["accuracy"], said["examples"], said["folds"]) == (0.6, 5, 5)
    assert said["accuracy_interval_95"][0] < 0.6 < said["accuracy_interval_95"][1]
    assert cross_validation_of(np.eye(2), np.array([0, 0]), ["a", "b"], 2)["one_label"] == []


def test_a_class_of_copies_of_one_example_cannot_be_judged():
    class_ids, groups = np.array([0, 0, 1, 1, 1]), np.array([0, 1, 2, 2, 2])
    assert can_be_judged(class_ids, 2, groups).tolist() == [True, True, False, False, False]
    assert can_be_judged(class_ids, 2, np.zeros(5, int)).all()
