"""Every runner keeps the contract; one that labels ahead in threads shows that the contract suffices."""

import pickle
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from crews import Threads
from hash_model import HashModel

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.jobs import label as job
from tfautolabel.jobs.runners import RUNNERS, runner_of
from tfautolabel.jobs.runners.contract import LOOK_AHEAD, PartLabeler
from tfautolabel.jobs.runners.hand_out import hand_out
from tfautolabel.jobs.runners.local import label_here
from tfautolabel.labels import Labels


def label_in_threads(label, parts, advance):
    """Labels up to three parts at once; a later one may be ready before an earlier one."""
    lock, parts, waiting = threading.Lock(), iter(parts), deque()

    def one_at_a_time(count):
        with lock:
            advance(count)

    with ThreadPoolExecutor(3) as pool:
        while True:
            while len(waiting) < 3 and (part := next(parts, None)) is not None:
                waiting.append(pool.submit(label, part, one_at_a_time))
            if not waiting:
                return
            yield waiting.popleft().result()


def label_by_a_crew(label, parts, advance):
    """What the runners for processes and clusters do, with threads for workers."""
    yield from hand_out(Threads(label, 2), parts, advance, label)


RUN = {"local": runner_of("local"), "threads": label_in_threads, "handed out": label_by_a_crew}


def datasets(*sizes):
    first = 0
    for size in sizes:
        yield Dataset.from_inputs(
            [f"text {row}" for row in range(first, first + size)],
            ids=[f"{row:04d}" for row in range(first, first + size)],
            modality="text",
        )
        first += size


def by_length(part, advance):
    """Labels and a digest that tell which part they are of."""
    advance(len(part))
    halves = np.full((len(part), 2), 0.5, np.float32)
    return Labels.from_probabilities(part.ids.tolist(), halves, ["a", "b"]), part.ids[0]


@pytest.fixture(params=RUN)
def run(request):
    return RUN[request.param]


def test_results_come_in_the_order_of_the_parts(run):
    advanced = []
    found = list(run(by_length, datasets(3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5), advanced.append))
    assert [len(labels) for labels, _ in found] == [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5]
    assert [digest for _, digest in found] == [labels.ids[0] for labels, _ in found]
    assert sorted(digest for _, digest in found) == [digest for _, digest in found]
    assert sum(advanced) == 44


def test_without_parts_there_is_nothing(run):
    assert list(run(by_length, [], lambda _: None)) == []


def test_parts_are_taken_when_they_are_needed_and_no_more_when_it_is_closed(run):
    taken = []

    def parts():
        for number, part in enumerate(datasets(*[2] * 50)):
            taken.append(number)
            yield part

    results = run(by_length, parts(), lambda _: None)
    assert taken == []
    for yielded in range(5):
        next(results)
        assert len(taken) <= yielded + 1 + 2 * LOOK_AHEAD
    before = len(taken)
    results.close()
    assert len(taken) == before


def test_progress_is_told_before_the_part_is_given(run):
    advanced, rows = [], 0
    for labels, _ in run(by_length, datasets(3, 1, 4, 2), advanced.append):
        rows += len(labels)
        assert sum(advanced) >= rows


def test_an_error_comes_in_the_place_of_its_part(run):
    def failing(part, advance):
        if part.ids[0] == "0004":
            raise OSError("the disk is gone")
        return by_length(part, advance)

    results = run(failing, datasets(3, 1, 4, 1), lambda _: None)
    assert [next(results)[1], next(results)[1]] == ["0000", "0003"]
    with pytest.raises(OSError, match="the disk is gone"):
        next(results)


def test_an_unknown_runner_is_refused(tmp_path):
    assert runner_of("local") is label_here
    with pytest.raises(
        ValueError, match=r"runner must be one of local, processes, ray\. Received: runner='cluster'"
    ):
        job.label(tmp_path, tmp_path, tmp_path / "out.csv", runner="cluster")


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """A model and texts; TensorFlow is not imported."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1")
    (tmp_path / "texts").mkdir()
    for row in range(60):
        (tmp_path / "texts" / f"{row:02d}.txt").write_text(f"text {row}")
    monkeypatch.setitem(sys.modules, "tfautolabel.export", SimpleNamespace(load_exported=HashModel))
    return tmp_path


def test_the_job_gives_the_same_whatever_labels_the_parts(texts, monkeypatch):
    monkeypatch.setattr(job, "PART_ROWS", 7)
    monkeypatch.setitem(RUNNERS, "threads", lambda _: label_in_threads)
    here, ahead = (
        job.label(texts / "model", texts / "texts", texts / f"{name}.csv", runner=name, progress=False)
        for name in ("local", "threads")
    )
    assert ahead.labels_file.read_bytes() == here.labels_file.read_bytes()
    assert (ahead.total, ahead.accepted) == (60, here.accepted)
    assert 0 < here.accepted < 60


def test_work_and_parts_of_a_folder_can_be_sent_to_another_process(texts):
    label, part = (
        PartLabeler(HashModel(texts / "model"), 0.9, 8),
        load_dataset(texts / "texts").subset(range(9)),
    )
    sent, same = pickle.loads(pickle.dumps((label, part)))
    assert sent.labeler.folder == texts / "model"
    (labels, digest), (expected, own) = sent(same, lambda _: None), label(part, lambda _: None)
    assert digest == own
    assert (labels.ids == expected.ids).all()
    np.testing.assert_array_equal(labels.probabilities, expected.probabilities)
    np.testing.assert_array_equal(labels.reason, expected.reason)
