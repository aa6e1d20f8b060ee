import numpy as np
import pytest

from tfautolabel.rules.votes import Failure, Failures, Votes, check_votes, vote_counts, vote_type


@pytest.mark.parametrize(
    ("count", "kind"), [(2, np.int8), (127, np.int8), (128, np.int16), (40_000, np.int32)]
)
def test_the_smallest_integers_hold_every_class(count, kind):
    assert vote_type(count) is kind
    assert np.array([count - 1, -1]).astype(kind).tolist() == [count - 1, -1]


def test_failures_add_up_and_keep_the_first_ones():
    one = Failures(2, (Failure("a", "x"), Failure("b", "y")))
    more = Failures(4, tuple(Failure(str(n), "z") for n in range(4)), "it stopped")
    both = one.plus(more)
    assert (both.count, len(both.first), both.first[0]) == (6, 5, Failure("a", "x"))
    assert both.sentence("r") == "rule 'r' is left out: it stopped"
    assert Failures().sentence("r") == ""


def test_votes_of_some_examples():
    votes = Votes(
        np.array([[0, -1], [-1, -1], [1, 1]], np.int8), np.array(["a", "b", "c"]), ("x", "y"), ("r", "s")
    )
    assert votes.covered.tolist() == [True, False, True]
    assert votes.subset(np.array([2, 0])).ids.tolist() == ["c", "a"]


def test_a_matrix_of_another_tool_is_taken_as_it_is():
    given = np.array([[0, -1], [1, 1]])
    assert check_votes(given, 2) is given
    assert check_votes([[0, -1]], 2).shape == (1, 2)


@pytest.mark.parametrize(
    ("votes", "said"),
    [
        (np.zeros(3, int), r"shape \(n, m\).*Received: int64 of shape \(3,\)"),
        (np.zeros((2, 2)), "float64"),
        (np.array([[2]]), r"lie in \[-1, 1\]. Received: votes from 2 to 2"),
        (np.array([[-2]]), "from -2 to -2"),
    ],
)
def test_anything_else_is_refused(votes, said):
    with pytest.raises(ValueError, match=said):
        check_votes(votes, 2)


def test_votes_are_counted_for_each_class_and_weighed():
    votes = np.array([[0, 1, 1], [-1, -1, -1], [2, -1, 2]], np.int8)
    assert vote_counts(votes, 3).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 2]]
    weighed = vote_counts(votes, 3, np.array([0.5, 1.0, 2.0]))
    assert weighed.tolist() == [[0.5, 3.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.5]]
