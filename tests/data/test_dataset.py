import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.data import Dataset, Unreadable
from tfautolabel.data.readers import MemoryReader
from tfautolabel.labels import ABSTAIN


def letters(labels, **options):
    """A data set whose row i has the id and the bytes of its number."""
    ids = [f"{row:04d}" for row in range(len(labels))]
    return Dataset.from_inputs([name.encode() for name in ids], labels, ids, **options)


labels_lists = st.lists(st.sampled_from([None, "a", "b", "c", "d"]), max_size=60)


def test_from_inputs_gives_what_it_was_given():
    dataset = Dataset.from_inputs([b"x", b"y", b"z"], ["dog", None, "cat"], ["3", "1", "2"])
    assert dataset.ids.tolist() == ["3", "1", "2"]
    assert dataset.classes == ("cat", "dog")
    assert dataset.class_ids.tolist() == [1, ABSTAIN, 0]
    assert dataset.class_ids.dtype == np.int64
    assert dataset.read([2, 0]) == [b"z", b"x"]
    assert dataset.modality == "image"
    assert dataset.unreadable == ()


def test_default_ids_sort_in_the_order_of_the_rows():
    ids = Dataset.from_inputs([b""] * 11).ids.tolist()
    assert ids == sorted(ids)
    assert ids[0] == "00"
    assert ids[10] == "10"


def test_no_labels_means_nothing_labelled():
    dataset = Dataset.from_inputs([b"", b""])
    assert dataset.class_ids.tolist() == [ABSTAIN, ABSTAIN]
    assert dataset.classes == ()
    assert len(dataset.unlabelled) == 2
    assert len(dataset.labelled) == 0


def test_an_empty_data_set_works():
    dataset = Dataset.from_inputs([])
    assert len(dataset) == 0
    assert dataset.read([]) == []
    assert [len(part) for part in dataset.split()] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ids": ["a", "b", "a"]}, r"ids must be unique. Received more than once: 'a'$"),
        ({"ids": ["a", "b"]}, "3 rows to read, 2 ids"),
        ({"class_ids": [0, 0]}, r"class_ids of shape \(2,\)"),
        ({"class_ids": [0, 2, -1], "classes": ("x", "y")}, r"lie in \[-1, 1\]. Received: \[2\]"),
        ({"class_ids": [0, -2, -1], "classes": ("x", "y")}, r"Received: \[-2\]"),
        ({"classes": ("x", "x")}, "classes must be unique. Received more than once: 'x'"),
        ({"modality": "smell"}, "modality must be one of .*'image'.*Received: modality='smell'"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Dataset(MemoryReader([b""] * 3), **{"ids": ["a", "b", "c"], **arguments})


def test_many_repeated_ids_are_not_all_listed():
    names = [f"{number}.jpg" for number in range(30)] * 2
    with pytest.raises(ValueError, match=r"'0.jpg', '1.jpg', .* and 25 more$"):
        Dataset.from_inputs([b""] * 60, ids=names)


def test_labels_must_be_one_a_row():
    with pytest.raises(ValueError, match=r"2 in all\. Received: 1 labels"):
        Dataset.from_inputs([b"", b""], ["a"])
    with pytest.raises(TypeError, match=r"a number or None\. Received: .*object.* for '1'"):
        Dataset.from_inputs([b"", b""], ["a", object()])


def test_the_arrays_cannot_be_changed_from_outside():
    given_ids = np.array([0, 0])
    dataset = Dataset(MemoryReader([b"", b""]), ["a", "b"], given_ids, ["x"])
    given_ids[0] = ABSTAIN
    assert dataset.class_ids.tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        dataset.class_ids[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        dataset.ids[0] = "c"


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([-1], IndexError, r"lie in \[0, 2\]. Received: rows from -1 to -1"),
        ([0, 3], IndexError, "from 0 to 3"),
        ([True, False], ValueError, r"shape \(3,\). Received: shape \(2,\)"),
        ([0.0], TypeError, "Received: float64"),
        ([[0]], TypeError, r"shape \(1, 1\)"),
    ],
)
@pytest.mark.parametrize("method", ["read", "subset"])
def test_rows_are_checked(method, rows, error, message):
    with pytest.raises(error, match=message):
        getattr(letters([None] * 3), method)(rows)


def test_a_row_cannot_be_in_a_subset_twice():
    with pytest.raises(ValueError, match="Received more than once: '0001'"):
        letters([None] * 3).subset([1, 1])


@settings(deadline=None)
@given(labels_lists, st.data())
def test_subset_keeps_rows_together(labels, data):
    dataset = letters(labels)
    rows = data.draw(st.permutations(range(len(labels))))[: data.draw(st.integers(0, len(labels)))]
    part = dataset.subset(rows)
    assert part.ids.tolist() == [f"{row:04d}" for row in rows]
    assert part.read(range(len(part))) == [b"%04d" % row for row in rows]
    assert [part.classes[c] if c != ABSTAIN else None for c in part.class_ids] == [labels[r] for r in rows]
    assert part.classes == dataset.classes


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=30))
def test_a_mask_selects_as_its_indices_do(mask):
    dataset = letters([None] * len(mask))
    by_index = dataset.subset(np.flatnonzero(mask))
    assert dataset.subset(np.array(mask, bool)).ids.tolist() == by_index.ids.tolist()


@settings(deadline=None)
@given(labels_lists)
def test_labelled_and_unlabelled_part_the_whole(labels):
    dataset = letters(labels)
    assert dataset.labelled.ids.tolist() == [f"{i:04d}" for i, name in enumerate(labels) if name]
    assert dataset.unlabelled.ids.tolist() == [f"{i:04d}" for i, name in enumerate(labels) if not name]
    assert (dataset.labelled.class_ids != ABSTAIN).all()
    assert (dataset.unlabelled.class_ids == ABSTAIN).all()


def test_unreadable_stays_with_the_whole_and_the_unlabelled():
    unreadable = [Unreadable("x.jpg", "a broken link")]
    dataset = Dataset(MemoryReader([b"", b""]), ["a", "b"], [0, -1], ["x"], unreadable=unreadable)
    assert dataset.unreadable == tuple(unreadable)
    assert dataset.unlabelled.unreadable == tuple(unreadable)
    assert dataset.rejected == tuple(unreadable), "an earlier name"
    assert dataset.with_classes(["y", "x"]).unreadable == tuple(unreadable)
    assert dataset.labelled.unreadable == ()
    assert dataset.subset([0]).unreadable == ()
    assert all(part.unreadable == () for part in dataset.split(0.5))


@settings(deadline=None)
@given(labels_lists, st.floats(0.01, 0.99), st.booleans(), st.integers(0, 5))
def test_split_parts_the_whole(labels, fraction, stratified, seed):
    dataset = letters(labels)
    first, second = dataset.split(fraction, seed=seed, stratified=stratified)
    assert sorted([*first.ids, *second.ids]) == dataset.ids.tolist()
    for part in (first, second):
        assert part.ids.tolist() == sorted(part.ids)
        assert part.read(range(len(part))) == [name.encode() for name in part.ids]
        assert part.classes == dataset.classes
    wanted = round(len(labels) * fraction)
    if not stratified:
        assert len(second) == wanted
    else:
        # The only reason to miss the size is that nothing but last examples of classes is left to draw.
        smaller = min(len(first), len(second))
        can_be_drawn = len(labels) - len(dataset.classes)
        assert smaller == min(wanted, len(labels) - wanted, can_be_drawn)


@settings(deadline=None)
@given(labels_lists, st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_stratified_split_keeps_every_class_on_the_larger_side(labels, fraction, seed):
    dataset = letters(labels)
    larger = max(dataset.split(fraction, seed=seed), key=len)
    assert set(larger.class_ids.tolist()) >= {*range(len(dataset.classes))}


def test_a_stratified_split_gives_each_class_its_share():
    dataset = letters(["a"] * 100 + ["b"] * 20 + [None] * 50)
    for fraction, shares in [(0.2, [10, 20, 4]), (0.9, [45, 90, 18])]:
        for seed in range(5):
            second = dataset.split(fraction, seed=seed)[1]
            assert np.unique(second.class_ids, return_counts=True)[1].tolist() == shares


def test_ties_between_classes_are_settled_at_random():
    dataset = letters([name for name in "abcd" for _ in range(5)])
    drawn = [
        tuple(np.bincount(dataset.split(0.1, seed=seed)[1].class_ids, minlength=4)) for seed in range(20)
    ]
    assert all(sum(counts) == 2 and max(counts) == 1 for counts in drawn)
    assert len(set(drawn)) > 1


@pytest.mark.parametrize("stratified", [True, False])
def test_a_split_depends_on_the_seed_alone(stratified):
    dataset = letters(["a", "b"] * 20)
    np.random.seed(0)
    before = dataset.split(seed=1, stratified=stratified)[1].ids.tolist()
    np.random.seed(1)
    assert dataset.split(seed=1, stratified=stratified)[1].ids.tolist() == before
    assert dataset.split(seed=2, stratified=stratified)[1].ids.tolist() != before


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_a_fraction_that_splits_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match="Received: fraction="):
        letters(["a"]).split(fraction)


def test_with_classes_keeps_the_names_of_the_labels():
    dataset = letters(["b", None, "a", "b"]).with_classes(["c", "b", "a"])
    assert dataset.classes == ("c", "b", "a")
    assert dataset.class_ids.tolist() == [1, ABSTAIN, 2, 1]


def test_with_classes_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"none of the classes 'a', 'c'. Received: 'b'$"):
        letters(["a", "b"]).with_classes(["a", "c"])


def test_a_class_that_no_row_has_may_be_dropped():
    only_a = letters(["a", "b"]).subset([0])
    assert only_a.with_classes(["a"]).class_ids.tolist() == [0]


def test_repr_says_what_there_is():
    dataset = letters(["a", "b", "c", "d", "e", "f", None])
    assert repr(dataset) == "Dataset(7 images, 6 labelled in 6 classes: a, b, c, d, e, …)"
    assert repr(Dataset.from_inputs([b""])) == "Dataset(1 image)"


def test_a_data_set_can_go_to_another_process():
    copy = pickle.loads(pickle.dumps(letters(["a", None]).subset([1])))
    assert copy.ids.tolist() == ["0001"]
    assert copy.read([0]) == [b"0001"]
