import itertools
import tempfile
import threading
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.data.atomic import atomic_write
from tfautolabel.features import cache as module
from tfautolabel.features import place_index, shards
from tfautolabel.features.cache import FeatureCache, content_key

DIM = 6
ROWS = np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32)
KEYS = [content_key(bytes([i])) for i in range(40)]


@pytest.fixture
def opened(tmp_path):
    def open_cache():
        return FeatureCache(tmp_path, "f" * 64, DIM)

    return open_cache


def filled(cache, rows=range(40)):
    for row in rows:
        cache.put(KEYS[row], ROWS[row])
    cache.flush()
    return cache


def found(cache):
    """The rows that the cache has, each checked."""
    rows = []
    for row, key in enumerate(KEYS):
        cached = cache.get(key)
        if cached is not None:
            np.testing.assert_array_equal(cached.features, ROWS[row])
            rows.append(row)
    return rows


def files(tmp_path, ending):
    return sorted((tmp_path / ("f" * 64)).glob(f"*.{ending}.npy"))


def test_content_key_is_sha256():
    assert content_key(b"").hex().startswith("e3b0c44298fc1c14")
    assert len(content_key(b"x")) == 32


def test_round_trip(opened):
    cache = opened()
    assert (len(cache), found(cache)) == (0, [])
    cache.put(KEYS[3], ROWS[3])
    assert found(cache) == [3]
    filled(cache)
    for again in (cache, opened()):
        assert (len(again), found(again), again.damaged) == (40, list(range(40)), 0)
    assert opened().get(KEYS[0]).features.dtype == np.float32


def test_keys_that_end_in_zero_bytes(opened):
    """NumPy's byte strings would lose them."""
    cache, key = opened(), b"\1" + b"\0" * 31
    cache.put(key, ROWS[0])
    cache.flush()
    np.testing.assert_array_equal(opened().get(key).features, ROWS[0])


def test_shortened_is_kept(opened):
    cache = opened()
    cache.put(KEYS[0], ROWS[0], shortened=True)
    cache.put(KEYS[1], ROWS[1])
    cache.flush()
    assert [opened().get(KEYS[row]).shortened for row in (0, 1)] == [True, False]


def test_few_shards_are_mapped_at_a_time(opened, monkeypatch):
    monkeypatch.setattr(shards, "OPEN_SHARDS", 2)
    cache = opened()
    for row in range(40):
        filled(cache, [row])
    again = opened()
    assert found(again) == list(range(40))
    assert len(again._shards._open) == 2
    assert isinstance(again.get(KEYS[0]).features.base, np.memmap)


def test_keys_that_begin_alike(opened):
    """The index in memory holds the first 8 bytes only."""
    cache = opened()
    keys = [b"alike..." + bytes([number]) * 24 for number in range(5)]
    for row, key in enumerate(keys[:4]):
        cache.put(key, ROWS[row])
        cache.flush()
    for row, key in enumerate(keys[:4]):
        np.testing.assert_array_equal(opened().get(key).features, ROWS[row])
    assert opened().get(keys[4]) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.sampled_from([10**9, 20, 5]))
def test_place_index_finds_every_key(sizes, longest):
    """Runs with more keys than `longest` are on disk."""
    with (
        patch.multiple(place_index, LONG_RUN=longest, FENCE=4),
        tempfile.TemporaryDirectory() as folder,
    ):
        check_place_index(place_index.PlaceIndex(Path(folder)), sizes, longest)
        assert list(Path(folder).iterdir()) == []


def check_place_index(index, sizes, longest):
    expected = {}
    for shard, size in enumerate(sizes):
        keys = [content_key(f"{shard} {row}".encode()) for row in range(size)]
        index.add(shard, np.array([np.void(key) for key in keys], "V32"))
        expected |= {key: (shard, row) for row, key in enumerate(keys)}
    assert len(index) == len(expected)
    assert {key: next(index.find(key)) for key in expected} == expected
    runs = [len(run) for run in index._runs]
    assert [isinstance(run, place_index._Filed) for run in index._runs] == [n > longest for n in runs]
    assert all(early >= 2 * late for early, late in itertools.pairwise(runs))
    index.forget(0)
    assert [bool(list(index.find(key))) for key in expected] == [shard > 0 for shard, _ in expected.values()]


def test_an_index_that_cannot_be_on_disk_is_in_memory(tmp_path):
    with patch.multiple(place_index, LONG_RUN=5):
        check_place_index(place_index.PlaceIndex(tmp_path / "not there"), [6, 20, 7], 10**9)


def test_keys_that_begin_alike_are_found_on_disk(tmp_path):
    """They may lie in several blocks."""
    keys = np.array([np.void(b"alike..." + bytes([number]) * 24) for number in range(23)], "V32")
    with patch.multiple(place_index, LONG_RUN=5, FENCE=4):
        index = place_index.PlaceIndex(tmp_path)
        for shard in range(2):
            index.add(shard, keys)
        found = list(index.find(keys[3].tobytes()))
    assert found == [(shard, row) for shard in (1, 0) for row in range(22, -1, -1)]


def test_full_shard_is_written_without_flush(opened, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "SHARD_ROWS", 16)
    cache = opened()
    for key, row in zip(KEYS, ROWS, strict=True):
        cache.put(key, row)
    assert len(files(tmp_path, "rows")) == 2
    # The process ends here: what had not been written is lost, nothing else.
    assert found(opened()) == list(range(32))


def test_old_rows_are_written_without_flush(opened, monkeypatch):
    monkeypatch.setattr(module, "SHARD_SECONDS", -1.0)
    opened().put(KEYS[0], ROWS[0])
    assert found(opened()) == [0]


def test_two_caches_on_one_folder(opened):
    one, two = opened(), opened()
    filled(one, range(20))
    filled(two, range(10, 40))
    both = opened()
    assert (found(both), both.damaged) == (list(range(40)), 0)
    assert found(one) == list(range(20))


def test_other_fingerprints_and_dimensions_do_not_mix(opened, tmp_path):
    filled(opened())
    assert len(FeatureCache(tmp_path, "e" * 64, DIM)) == 0
    assert FeatureCache(tmp_path, "f" * 64, DIM + 1).damaged == 1


@pytest.fixture
def two_shards(opened, tmp_path):
    """Two shards; gives the files of the one with the rows 0-19."""
    filled(opened(), range(20))
    rows_file, index_file = files(tmp_path, "rows")[0], files(tmp_path, "index")[0]
    filled(opened(), range(20, 40))
    return rows_file, index_file


def check_redone(opened):
    cache = opened()
    lost = sorted(set(range(40)) - set(found(cache)))
    filled(cache, lost)
    last = opened()
    assert (found(last), last.damaged) == (list(range(40)), 0)
    return cache.damaged, lost


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("keep", [0, 30, -1, -8])
def test_truncated_file(two_shards, opened, which, keep):
    file = two_shards[which]
    file.write_bytes(file.read_bytes()[:keep])
    assert check_redone(opened) == (1, list(range(20)))


def test_missing_rows_file(two_shards, opened):
    two_shards[0].unlink()
    assert check_redone(opened) == (1, list(range(20)))


def test_rows_without_index_do_not_count(two_shards, opened):
    """What a process leaves that was killed between the two files."""
    two_shards[1].unlink()
    assert check_redone(opened) == (0, list(range(20)))


def left_by_a_killed_process(tmp_path):
    """Rows whose index was never named."""
    (rows,) = files(tmp_path, "rows")
    lonely = rows.with_name("0" * 32 + ".rows.npy")
    lonely.write_bytes(rows.read_bytes())
    return lonely


def test_rows_of_a_dead_process_are_swept(opened, tmp_path):
    filled(opened())
    lonely = left_by_a_killed_process(tmp_path)
    opened()
    assert not lonely.exists()
    assert len(files(tmp_path, "rows")) == len(files(tmp_path, "index")) == 1


def test_rows_of_a_living_process_stay(opened, tmp_path):
    filled(opened())
    lonely = left_by_a_killed_process(tmp_path)
    with atomic_write(shards._index_file(lonely), "wb"):
        opened()
        assert lonely.exists()


def test_whoever_opens_the_cache_while_a_shard_is_written_leaves_it_alone(opened, tmp_path, monkeypatch):
    cache, save, seen = opened(), np.save, []
    for key, row in zip(KEYS, ROWS, strict=True):
        cache.put(key, row)

    def saved(stream, array, **options):
        save(stream, array, **options)
        if array.dtype == shards.INDEX:  # the rows have their name by now, the index has not
            seen.extend(files(tmp_path, "rows"))
            assert len(opened()) == 0

    monkeypatch.setattr(module.np, "save", saved)
    cache.flush()
    assert len(seen) == 1
    assert len(opened()) == 40


@pytest.mark.parametrize("row", [0, 7, 19])
def test_flipped_byte_costs_one_row(two_shards, opened, row):
    damaged = bytearray(two_shards[0].read_bytes())
    damaged[len(damaged) - (20 - row) * DIM * 4 + 2] ^= 0x10
    two_shards[0].write_bytes(bytes(damaged))
    assert check_redone(opened) == (1, [row])


def test_flipped_byte_in_the_index(two_shards, opened):
    damaged = bytearray(two_shards[1].read_bytes())
    damaged[-1] ^= 0x10
    two_shards[1].write_bytes(bytes(damaged))
    assert check_redone(opened) == (1, [19])


def test_garbage_never_unpickles(two_shards, opened):
    two_shards[1].write_bytes(b"\x93NUMPY" + b"garbage" * 10)
    assert check_redone(opened)[0] == 1
    np.save(two_shards[1], np.array([{"key": 1}], dtype=object), allow_pickle=True)
    two_shards[0].write_bytes(b"")
    assert opened().damaged == 1


def test_damage_that_cannot_be_removed(two_shards, opened, monkeypatch):
    two_shards[0].write_bytes(b"")

    def refuse(self, missing_ok=False):
        raise PermissionError("read-only")

    monkeypatch.setattr(module.Path, "unlink", refuse)
    assert found(opened()) == list(range(20, 40))
    assert opened().damaged == 1


def test_flush_that_fails_keeps_what_waits(opened, monkeypatch):
    cache = opened()
    cache.put(KEYS[0], ROWS[0])

    def refuse(*_):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(module, "atomic_write", refuse)
        with pytest.raises(OSError, match="no space"):
            cache.flush()
    assert found(cache) == [0]
    cache.flush()
    assert found(opened()) == [0]


def test_features_given_may_change_afterwards(opened):
    """A caller's array is often a view into a larger one that is used again."""
    cache, row = opened(), ROWS[0].copy()
    cache.put(KEYS[0], row)
    row[:] = 0
    np.testing.assert_array_equal(cache.get(KEYS[0]).features, ROWS[0])


def test_many_writers(tmp_path, opened, monkeypatch):
    monkeypatch.setattr(module, "SHARD_ROWS", 4)
    errors = []

    def work(offset):
        try:
            cache = opened()
            for row in range(40):
                chosen = (row * 7 + offset) % 40
                if cache.get(KEYS[chosen]) is None:
                    cache.put(KEYS[chosen], ROWS[chosen])
            cache.flush()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    cache = opened()
    assert (found(cache), cache.damaged) == (list(range(40)), 0)


def test_empty_flush_writes_nothing(opened, tmp_path):
    opened().flush()
    assert list(tmp_path.iterdir()) == []
