import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfautolabel.labels import ABSTAIN, Labels, Unreadable

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.5, 0.5, 0.0]])
CLASSES = ["cat", "dog", "owl"]


def labels(**options):
    return Labels.from_probabilities(["a", "b", "c"], PROBABILITIES, CLASSES, **options)


def test_most_probable_class():
    found = labels()
    assert len(found) == 3
    assert found.class_ids.tolist() == [0, 2, 0]
    assert found.predicted.tolist() == ["cat", "owl", "cat"]
    assert found.accepted.all()
    np.testing.assert_allclose(found.confidence, [0.7, 0.4, 0.5])
    assert found.origin.tolist() == ["model"] * 3
    types = (found.class_ids.dtype, found.confidence.dtype, found.probabilities.dtype)
    assert types == (np.int64, np.float32, np.float32)


def test_unsure_rows_abstain_but_keep_what_the_model_says():
    found = labels(min_confidence=0.5)
    assert found.class_ids.tolist() == [0, ABSTAIN, 0]
    assert found.accepted.tolist() == [True, False, True]
    assert found.predicted.tolist() == ["cat", "owl", "cat"]


def test_threshold_is_compared_in_float32():
    """0.7 as float32 is below 0.7 as float64; a row at the threshold is accepted all the same."""
    assert labels(min_confidence=0.7).accepted.tolist() == [True, False, False]


def test_runner_up():
    names, probabilities = labels().runner_up
    assert names.tolist() == ["dog", "cat", "dog"]
    np.testing.assert_allclose(probabilities, [0.2, 0.3, 0.5])


def test_one_class_has_no_runner_up():
    found = Labels.from_probabilities(["a", "b"], np.ones((2, 1)), ["only"])
    names, probabilities = found.runner_up
    assert (names.tolist(), probabilities.tolist()) == (["", ""], [0.0, 0.0])


def test_no_rows():
    found = Labels.from_probabilities(
        [], np.zeros((0, 3)), CLASSES, unreadable=[Unreadable("x", "empty file")]
    )
    assert len(found) == len(found.predicted) == len(found.accepted) == len(found.runner_up[0]) == 0
    assert found.class_ids.dtype == np.int64
    assert found.unreadable == (("x", "empty file"),)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 8), st.integers(2, 5)), elements=st.floats(0, 1, width=32)),
    st.floats(0, 1),
)
def test_rows_agree_with_each_other(probabilities, threshold):
    n, k = probabilities.shape
    found = Labels.from_probabilities([str(i) for i in range(n)], probabilities, list("abcde")[:k], threshold)
    accepted = found.accepted
    assert (found.confidence[accepted] >= np.float32(threshold)).all()
    assert (found.confidence[~accepted] < np.float32(threshold)).all()
    names, second = found.runner_up
    assert (second <= found.confidence).all()
    assert not (names == found.predicted).any()


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_threshold_out_of_range(threshold):
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]\. Received: min_confidence="):
        labels(min_confidence=threshold)


def test_unknown_origin():
    with pytest.raises(ValueError, match="Received: origin='guess'"):
        labels(origin="guess")


@pytest.mark.parametrize("name", ["class_ids", "confidence", "probabilities", "origin"])
def test_shapes_that_do_not_agree(name):
    parts = {part: getattr(labels(), part) for part in Labels.__dataclass_fields__}
    with pytest.raises(ValueError, match=f"{name} must have shape"):
        Labels(**{**parts, name: parts[name][:-1]})


@pytest.mark.parametrize("class_id", [-2, 3])
def test_class_ids_out_of_range(class_id):
    parts = {part: getattr(labels(), part) for part in Labels.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"lie in \[-1, 2\]"):
        Labels(**{**parts, "class_ids": np.array([0, 1, class_id])})


def test_no_classes():
    with pytest.raises(ValueError, match="at least one class"):
        Labels.from_probabilities([], np.zeros((0, 0)), [])
