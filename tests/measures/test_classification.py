import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from tfautolabel.labels import Unreadable
from tfautolabel.measures import accuracy_interval, evaluate_predictions
from tfautolabel.measures.classification import warn_of_left_out

CLASSES = ["a", "b", "c", "d"]
PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(PAIRS)
def test_every_measure_is_scikit_learns(pairs):
    truth, predicted = np.array(pairs, np.int64).T
    evaluation = evaluate_predictions(truth, predicted, CLASSES)
    options = {"labels": np.arange(4), "average": None, "zero_division": 0}
    assert evaluation.accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    # scikit-learn's balanced accuracy is the mean recall of the classes that occur too.
    occurring = np.unique(truth)
    recalls = metrics.recall_score(truth, predicted, labels=occurring, average=None, zero_division=0)
    assert evaluation.balanced_accuracy == pytest.approx(recalls.mean())
    np.testing.assert_allclose(evaluation.precision, metrics.precision_score(truth, predicted, **options))
    np.testing.assert_allclose(evaluation.recall, metrics.recall_score(truth, predicted, **options))
    np.testing.assert_allclose(evaluation.f1, metrics.f1_score(truth, predicted, **options))
    confusion = metrics.confusion_matrix(truth, predicted, labels=np.arange(4))
    np.testing.assert_array_equal(evaluation.confusion, confusion)
    np.testing.assert_array_equal(evaluation.support, np.bincount(truth, minlength=4))
    assert evaluation.count == len(truth)
    correct = int((truth == predicted).sum())
    assert evaluation.accuracy_interval == accuracy_interval(correct, len(truth))


def test_a_class_without_examples_does_not_lower_the_balanced_accuracy():
    evaluation = evaluate_predictions(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), ["a", "b", "c"])
    assert evaluation.balanced_accuracy == 0.75
    assert evaluation.recall.tolist() == [1.0, 0.5, 0.0]
    assert evaluation.precision.tolist() == [1.0, 1.0, 0.0]
    assert evaluation.support.tolist() == [2, 2, 0]


def test_the_dictionary_survives_json_and_names_the_classes():
    evaluation = evaluate_predictions(np.array([0, 1, 1]), np.array([0, 1, 0]), ["猫", "a,b"])
    read = json.loads(json.dumps(evaluation.to_dict()))
    assert read["count"] == 3
    assert read["accuracy"] == pytest.approx(2 / 3)
    assert read["accuracy_interval_95"] == list(accuracy_interval(2, 3))
    assert read["classes"]["猫"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }
    assert read["confusion_matrix"] == {
        "classes": ["猫", "a,b"],
        "rows_true_columns_predicted": [[1, 0], [1, 1]],
    }


def test_nothing_to_evaluate_is_refused():
    with pytest.raises(ValueError, match="there must be a labelled example that can be read"):
        evaluate_predictions(np.zeros(0, np.int64), np.zeros(0, np.int64), CLASSES)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"Received: 2 examples, 1 predictions"):
        evaluate_predictions(np.array([0, 1]), np.array([0]), CLASSES)


def test_what_was_left_out_is_told(recwarn):
    warn_of_left_out(5, ())
    assert not recwarn
    with pytest.warns(UserWarning, match=r"1 of 5 labelled examples .* first is x\.jpg: empty file"):
        warn_of_left_out(5, [Unreadable("x.jpg", "empty file")])
