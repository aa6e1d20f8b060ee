"""Workers may be lost, fail to start or come late; every part is labelled, in its place."""

import threading
from concurrent.futures import Future

import numpy as np
import pytest
from crews import Ended, Threads
from hypothesis import given, settings
from hypothesis import strategies as st
from part_labelers import ByLength

from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.hand_out import ATTEMPTS, WAITING, hand_out


def parts(count):
    for number in range(count):
        yield Dataset.from_inputs([f"text {number}"], ids=[f"{number:03d}"], modality="text")


class Labels(ByLength):
    """Ends the worker, or fails, at parts that a test chooses; counts how often each part was begun."""

    def __init__(self, ends=None, fails=None):
        super().__init__()
        self.ends, self.fails, self.begun = dict(ends or {}), dict(fails or {}), {}
        self._lock = threading.Lock()

    def __call__(self, part, advance):
        number = int(part.ids[0])
        with self._lock:
            self.begun[number] = self.begun.get(number, 0) + 1
            for left, error in ((self.ends, Ended("signal 9")), (self.fails, OSError(f"no disk {number}"))):
                if left.get(number, 0) > 0:
                    left[number] -= 1
                    raise error
        return super().__call__(part, advance)


def handed_out(label, count, size=2, advanced=None, **options):
    crew = Threads(label, size, **options)
    add = (lambda _: None) if advanced is None else advanced.append
    return crew, [(labels, digest) for labels, digest in hand_out(crew, parts(count), add, label)]


@settings(max_examples=40, deadline=None)
@given(
    ends=st.dictionaries(st.integers(0, 14), st.integers(1, ATTEMPTS - 1), max_size=6),
    count=st.integers(0, 15),
    size=st.integers(1, 4),
)
def test_whatever_workers_end_each_part_is_labelled_once_and_in_order(ends, count, size):
    label, advanced = Labels(ends), []
    crew, found = handed_out(label, count, size, advanced)
    assert [digest for _, digest in found] == [f"{number:03d}" for number in range(count)]
    assert advanced == [1] * count
    assert crew.most_held <= WAITING
    ended = sum(times for number, times in ends.items() if number < count)
    assert sum(crew.started) == size + ended
    # What waited behind a part that ended its worker is not begun there, and is not blamed.
    assert label.begun == {number: 1 + ends.get(number, 0) for number in range(count)}


def test_a_part_that_ends_every_worker_is_set_aside_with_the_reason():
    _, found = handed_out(Labels({3: 99}), 8)
    (labels, digest) = found[3]
    assert (len(labels), digest) == (0, "")
    (aside,) = labels.unreadable
    assert aside.id == "003"
    assert aside.reason == "not labelled: 3 workers ended while they had this part: signal 9"
    assert [digest for _, digest in found if digest] == ["000", "001", "002", "004", "005", "006", "007"]


def test_nothing_is_set_aside_if_workers_cannot_label_at_all():
    with pytest.raises(RuntimeError, match="workers end before they have labelled anything: signal 9"):
        handed_out(Labels(dict.fromkeys(range(9), 99)), 9)


def test_an_error_of_a_part_is_tried_again_and_then_raised_in_its_place():
    assert len(handed_out(Labels(fails={2: 1, 4: 1}), 9)[1]) == 9
    label = Labels(fails={4: 2})
    results = hand_out(Threads(label, 2), parts(9), lambda _: None, label)
    assert [next(results)[1] for _ in range(4)] == ["000", "001", "002", "003"]
    with pytest.raises(OSError, match="no disk 4"):
        next(results)


def test_a_worker_that_starts_late_takes_no_part_before():
    late, given_out = Future(), []

    class Late(Threads):
        def submit(self, worker, part):
            given_out.append(worker)
            if len(given_out) == 5:
                late.set_result(None)
            return super().submit(worker, part)

    label = Labels()
    crew = Late(label, 2, lambda worker, _: late if worker == 1 else None)
    assert len(list(hand_out(crew, parts(12), lambda _: None, label))) == 12
    assert given_out[:5] == [0] * 5
    assert 1 in given_out


def test_workers_that_all_start_late_label_everything():
    late = [Future(), Future()]
    timer = threading.Timer(0.05, lambda: [future.set_result(None) for future in late])
    timer.start()
    assert len(handed_out(Labels(), 5, starts=lambda worker, _: late[worker])[1]) == 5
    timer.join()


def failing_with(error):
    """Workers that fail to start."""
    future = Future()
    future.set_exception(error)
    return lambda _worker, _count: future


def test_workers_that_never_start_end_the_job_with_a_sentence():
    with pytest.raises(RuntimeError, match="no worker can start: exit code 1"):
        handed_out(Labels(), 4, starts=failing_with(Ended("exit code 1")))


def test_a_worker_that_refuses_says_why():
    with pytest.raises(ValueError, match="the same versions"):
        handed_out(Labels(), 4, starts=failing_with(ValueError("all machines need the same versions")))


def test_labels_are_those_of_the_parts():
    (first, *_), *_ = handed_out(Labels(), 3)[1]
    np.testing.assert_allclose(first.probabilities, [[0.06, 0.94]], atol=1e-6)
