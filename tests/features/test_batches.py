from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel._ahead import map_ahead
from tfautolabel.features.batches import WINDOW_BATCHES, Example, byte_lengths, even_batches

lengths = st.lists(st.integers(0, 50), max_size=200)


def examples_of(sizes):
    return [Example(row, bytes(size), b"%d" % row) for row, size in enumerate(sizes)]


@settings(deadline=None)
@given(lengths, st.integers(1, 7), st.integers(1, 120), st.booleans())
def test_every_example_is_in_one_batch_and_no_batch_is_too_large(sizes, batch_size, max_bytes, by_length):
    lengths = byte_lengths if by_length else None
    batches = list(even_batches(iter(examples_of(sizes)), batch_size, max_bytes, lengths))
    assert sorted(example.row for batch in batches for example in batch) == list(range(len(sizes)))
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        assert len(batch) == 1 or sum(len(example.encoded) for example in batch) <= max_bytes
    if not by_length:
        assert [example.row for batch in batches for example in batch] == list(range(len(sizes)))


@settings(deadline=None)
@given(lengths, st.integers(1, 5))
def test_batches_by_length_waste_the_least_within_a_window(sizes, batch_size):
    batches = list(even_batches(examples_of(sizes), batch_size, 10**9, byte_lengths))
    window = batch_size * WINDOW_BATCHES
    for start in range(0, len(sizes), window):
        own = [[e for e in batch if start <= e.row < start + window] for batch in batches]
        ordered = [len(example.encoded) for batch in own for example in batch]
        assert ordered == sorted(ordered, reverse=True)


def test_examples_are_taken_as_they_are_needed():
    taken = []

    def endless():
        for row in range(10**9):
            taken.append(row)
            yield Example(row, b"x", b"")

    next(even_batches(endless(), 4, 10**9, byte_lengths))
    assert len(taken) <= 3 * 4 * WINDOW_BATCHES


class Counted(bytes):
    """Bytes that know how many of them are in memory."""

    alive = 0

    def __init__(self, *_):
        Counted.alive += 1

    def __del__(self):
        Counted.alive -= 1


def test_large_examples_are_in_memory_one_at_a_time(monkeypatch):
    monkeypatch.setattr("tfautolabel.features.batches.WINDOW_BYTES", 100)
    before = []

    def large():
        for row in range(6):
            before.append(Counted.alive)
            yield Example(row, Counted(200), b"")

    batches = even_batches(large(), 4, 50, byte_lengths)
    sizes = list(map_ahead(len, batches, size=lambda _: 0, guess=lambda _: 1, most=0))
    assert (sizes, before) == ([1] * 6, [0] * 6)


def test_a_full_batch_does_not_wait_for_the_next_example():
    taken = []

    def rows():
        for row in range(6):
            taken.append(row)
            yield Example(row, b"xx", b"")

    batches = even_batches(rows(), 2, 10**9, None)
    assert ([example.row for example in next(batches)], taken) == ([0, 1], [0, 1])
