import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfautolabel.measures.duplicates import (
    feature_vectors,
    group_numbers,
    near_pairs,
    picture_vectors,
    same_content,
)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(-1, 2)), max_size=30))
def test_copies_are_all_found_and_conflicts_are_told(examples):
    contents = [content for content, _ in examples]
    class_ids = np.array([class_id for _, class_id in examples], np.int64)
    found = same_content(contents, class_ids)
    for copies in found:
        assert len({contents[row] for row in copies.rows}) == 1
        labels = {class_ids[row] for row in copies.rows} - {-1}
        assert copies.conflicting == (len(labels) > 1)
    grouped = {row for copies in found for row in copies.rows}
    assert grouped == {row for row, one in enumerate(contents) if one and contents.count(one) > 1}


def test_contents_must_be_of_all_examples():
    with pytest.raises(ValueError, match="contents must be of 2 examples"):
        same_content(["a"], np.array([0, 1]))


def test_links_are_followed():
    assert group_numbers(6, [(4, 1), (1, 2), np.array([5])]).tolist() == [0, 1, 1, 3, 1, 5]


@pytest.mark.parametrize("n", [200, 40])
def test_near_copies_are_found_and_others_are_not(n):
    rng = np.random.default_rng(0)
    # Three kinds of things that are alike, as real ones are.
    features = rng.normal(size=(3, 30))[np.arange(n) % 3] + 0.5 * rng.normal(size=(n, 30))
    copies = features[: n // 10] + 0.05 * rng.normal(size=(n // 10, 30))
    pairs = near_pairs(feature_vectors(np.concatenate([features, copies])))
    assert {(pair.first, pair.second) for pair in pairs} == {(row, n + row) for row in range(n // 10)}
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


def test_the_result_does_not_depend_on_how_many_rows_are_compared_at_a_time(monkeypatch):
    vectors = feature_vectors(np.repeat(np.random.default_rng(0).normal(size=(30, 8)), 2, axis=0))
    whole = near_pairs(vectors)
    monkeypatch.setattr("tfautolabel.measures.duplicates._BLOCK", 100)
    assert {pair[:2] for pair in near_pairs(vectors)} == {pair[:2] for pair in whole}
    assert {pair[:2] for pair in whole} == {(row, row + 1) for row in range(0, 60, 2)}


def picture(rng):
    """A picture with large and small structure."""
    coarse = np.kron(rng.uniform(20, 200, (4, 4, 3)), np.ones((16, 16, 1)))
    return coarse + rng.uniform(0, 30, (64, 64, 3))


def test_pictures_are_alike_whatever_their_brightness_and_fine_structure():
    rng = np.random.default_rng(0)
    pictures = np.stack([picture(rng) for _ in range(30)])
    changed = [pictures[0] * 0.6, pictures[1] + 20, pictures[2] + rng.normal(0, 10, (64, 64, 3))]
    blank = np.full((2, 64, 64, 3), 255.0) - np.array([0.0, 9.0])[:, None, None, None]
    vectors = picture_vectors(np.concatenate([pictures, changed, blank]))
    pairs = near_pairs(vectors[:, 0], vectors[:, 1:])
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 30), (1, 31), (2, 32)}
    assert not vectors[33:].any()


def test_a_copy_that_lost_its_bright_parts_is_found():
    rng = np.random.default_rng(0)
    # Bright pictures: a third of each becomes white, where only the copy is flat.
    pictures = np.stack([55.0 + picture(rng) for _ in range(30)]).clip(0, 255)
    copies = (1.4 * pictures[:10]).clip(0, 255)
    assert (copies == 255).mean() > 0.2
    vectors = picture_vectors(np.concatenate([pictures, copies]))
    wanted = {(row, 30 + row) for row in range(10)}
    assert {pair[:2] for pair in near_pairs(vectors[:, 0])} < wanted
    pairs = near_pairs(vectors[:, 0], vectors[:, 1:])
    assert {pair[:2] for pair in pairs} == wanted
    assert [pair.distance for pair in pairs] == sorted(pair.distance for pair in pairs)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_handful_of_examples(n):
    vectors = feature_vectors(np.random.default_rng(0).normal(size=(n, 5)))
    assert near_pairs(vectors) == []
    assert picture_vectors(np.zeros((n, 8, 8, 3))).shape == (n, 3, 64)
