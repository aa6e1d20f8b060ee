import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile

from tfautolabel._ahead import map_ahead
from tfautolabel.data import Dataset, ReadFailure, readers, sound_decoding
from tfautolabel.data import row_groups as module
from tfautolabel.data.readers import FileReader, read_within
from tfautolabel.data.row_groups import RowGroups, bytes_of, read_ahead, read_in_groups, row_groups


class Counting:
    """Rows of these sizes; notes which ones are read."""

    def __init__(self, sizes):
        self.sizes, self.noted = sizes, []

    def __len__(self):
        return len(self.sizes)

    def size(self, row):
        return self.sizes[row]

    def read(self, row):
        self.noted.append(row)
        return bytes(self.sizes[row])


def sounds(reader):
    return Dataset(
        reader,
        [str(row) for row in range(len(reader))],
        np.full(len(reader), -1),
        (),
        modality="audio",
    )


def ranges(groups, sizes):
    """What is read when rows have these sizes."""
    found = []
    for rows in groups:
        values = [bytes(sizes[row]) for row in rows]
        groups.took(values)
        found.append(list(rows))
    return found


def test_rows_of_the_usual_size_are_read_as_asked():
    assert ranges(row_groups(70, 32, "image"), [10] * 70) == [
        [*range(32)], [*range(32, 64)], [*range(64, 70)]
    ]  # fmt: skip


def test_sound_begins_with_few_and_doubles():
    assert [len(rows) for rows in ranges(row_groups(70, 32, "audio"), [10] * 70)] == [1, 2, 4, 8, 16, 32, 7]


def test_large_rows_are_read_alone(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    sizes = [100] * 8 + [400] * 12 + [5000] * 4 + [1] * 4
    found = ranges(RowGroups(len(sizes), 8), sizes)
    assert [row for rows in found for row in rows] == [*range(len(sizes))]
    assert [len(rows) for rows in found] == [8, 8, 2, 2, 2, 1, 1, 1, 2, 1]
    groups = RowGroups(3, 2)
    groups.took([ReadFailure("gone")])
    assert [len(rows) for rows in groups] == [2, 1]
    assert bytes_of([b"abc", ReadFailure("gone")]) == 3


def test_nothing_is_worked_on_ahead_of_results_that_are_large():
    at_once, most = set(), 0

    def work(item):
        return item

    for result in map_ahead(work, _noted(at_once), size=lambda _: 10, most=9):
        at_once.discard(result)
        most = max(most, len(at_once))
    assert most <= 1


def _noted(taken):
    for item in range(20):
        taken.add(item)
        yield item


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "WAV"])
def test_long_sound_behind_short_clips_is_read_one_clip_at_a_time(kind, monkeypatch, tmp_path):
    """As many rows would be read at once as short clips allowed, before any of them shows its size."""
    long, paths = 16_000 * 20, []
    noise = np.random.default_rng(0).normal(0, 0.02, long).astype(np.float32)
    for row in range(40):
        paths.append(f"{row:02d}.{kind.lower()}")
        soundfile.write(tmp_path / paths[-1], noise[: 1600 if row < 30 else long], 16_000, format=kind)
    dataset = sounds(FileReader(tmp_path, paths))
    monkeypatch.setattr(module, "MAX_WAITING", 700_000)
    monkeypatch.setattr(sound_decoding, "BLOCK_SAMPLES", 10_000)
    tracemalloc.start()
    rows = []
    for group, values in read_in_groups(dataset, 32):
        assert bytes_of(values) <= 700_000
        rows += group
        del values
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == [*range(40)]
    assert peak < 2_500_000  # ten clips have 6.4 million bytes


@pytest.fixture
def in_turn(monkeypatch):
    """Rows are taken in their order; by many threads, a later one may take the room of an earlier one."""
    with ThreadPoolExecutor(1) as one:
        monkeypatch.setattr(readers, "_threads", lambda process, count: one)
        yield


def test_only_the_first_rows_that_fit_are_given(in_turn):
    reader = Counting([10] * 5 + [95, 10] + [200] + [10])

    def made(data, take=None):
        return data

    def numbers(rows):
        return [len(value) for value in read_within(reader, rows, made, 100)]

    assert numbers(range(9)) == [10] * 5
    assert numbers(range(5, 9)) == [95]
    assert numbers(range(7, 9)) == [200]
    assert max(reader.noted.count(row) for row in range(9)) <= 3


def test_a_result_that_grows_has_to_fit_too(in_turn):
    def grown(data, take=lambda _: None):
        take(10 * len(data))
        return data * 10

    assert [len(value) for value in read_within(Counting([10] * 6), range(6), grown, 350)] == [100] * 3


def test_nothing_is_read_while_large_rows_are_worked_on(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    reader = Counting([10] * 15 + [900] * 4)
    seen = 0
    for some in read_ahead(sounds(reader), 32):
        seen += len(some)
        if some[-1][0] > 15:
            time.sleep(0.05)
            assert len(set(reader.noted)) == seen
    assert seen == 19


def test_reading_ends_with_who_asked_for_it(monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 1000)
    rows = read_ahead(sounds(Counting([900] * 10)), 32)
    next(rows)
    closing = threading.Thread(target=rows.close)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
