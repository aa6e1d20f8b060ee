import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel._ahead import map_ahead


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers()), st.integers(1, 4), st.integers(0, 5))
def test_equals_map(items, threads, ahead):
    assert list(map_ahead(lambda x: x * 2, items, threads=threads, ahead=ahead)) == [x * 2 for x in items]


def test_order_is_kept_when_later_items_end_first():
    later_done = threading.Event()

    def function(item):
        if item == 0:
            assert later_done.wait(30)
        if item == 2:
            later_done.set()
        return item

    assert list(map_ahead(function, range(6), threads=3, ahead=3)) == list(range(6))


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_items_are_taken_only_so_far_ahead(ahead):
    taken = []
    results = map_ahead(abs, (taken.append(item) or item for item in range(20)), ahead=ahead)
    for asked in range(1, 5):
        next(results)
        assert len(taken) == asked + ahead


def test_works_ahead_of_the_caller():
    started = threading.Event()

    def function(item):
        if item == 1:
            started.set()
        return item

    results = map_ahead(function, range(3))
    next(results)
    assert started.wait(30)
    results.close()


def test_error_comes_when_its_turn_comes():
    def function(item):
        if item == 2:
            raise ValueError("two")
        return item

    results = map_ahead(function, range(5), threads=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_error_of_the_items_ends_the_threads():
    def items():
        yield 1
        raise KeyError("source")

    before = threading.active_count()
    with pytest.raises(KeyError, match="source"):
        list(map_ahead(abs, items()))
    assert threading.active_count() == before


def test_caller_that_stops_ends_the_threads():
    before = threading.active_count()
    results = map_ahead(abs, range(100), threads=2)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_nested_use():
    inner = map_ahead(lambda x: x + 1, range(30))
    assert list(map_ahead(lambda x: x * 2, inner)) == [2 * (x + 1) for x in range(30)]


def test_items_that_will_be_large_are_not_started_ahead():
    started = []

    def function(item):
        started.append(item)
        return item

    results = map_ahead(function, range(5), size=lambda _: 10, guess=lambda _: 10, most=9)
    assert next(results) == 0
    time.sleep(0.05)
    assert started == [0]
    assert list(results) == [1, 2, 3, 4]
