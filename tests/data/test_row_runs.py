import numpy as np
import pytest

from tfautolabel.data.row_runs import RowRuns, RunCollector, rows_at


def some_rows(seed):
    rng = np.random.default_rng(seed)
    return np.flatnonzero(rng.random(200) < rng.choice([0.02, 0.5, 0.98]))


@pytest.mark.parametrize("seed", range(12))
def test_runs_are_read_like_the_array(seed):
    rows, rng = some_rows(seed), np.random.default_rng(seed + 100)
    runs = RowRuns.of(rows)
    assert len(runs) == len(rows)
    assert list(runs) == rows.tolist()
    assert np.array_equal(np.asarray(runs), rows)
    assert np.asarray(runs).dtype == np.int64
    if not len(rows):
        return
    places = rng.integers(0, len(rows), 50)
    assert np.array_equal(runs[places], rows[places])
    assert np.array_equal(runs[2:60:3], rows[2:60:3])
    assert (runs[0], runs[-1]) == (rows[0], rows[-1])
    mask = rng.random(len(rows)) < 0.3
    assert np.array_equal(runs[mask], rows[mask])
    chosen = np.flatnonzero(mask)
    for whole in (rows, runs):
        for places in (chosen, RowRuns.of(chosen)):
            assert np.array_equal(np.asarray(rows_at(whole, places)), rows[chosen])
    assert np.array_equal(np.asarray(runs.but(chosen)), np.delete(rows, chosen))
    wanted = np.arange(200)
    found = runs.places(wanted)
    assert np.array_equal(found >= 0, np.isin(wanted, rows))
    assert np.array_equal(rows[found[found >= 0]], rows)


def test_a_place_behind_the_last_one_is_refused():
    runs = RowRuns.first(5)
    for place in (5, -6, [1, 5]):
        with pytest.raises(IndexError, match=r"\[0, 4\]"):
            runs[place]


@pytest.mark.parametrize("seed", range(4))
def test_collected_rows_are_the_runs(seed):
    rows, collector = some_rows(seed), RunCollector()
    for number, row in enumerate(rows.tolist()):
        collector.add(row)
        if number == 20:
            assert list(collector.finish()) == rows[:21].tolist()
    collector.add(500, 1000)
    assert list(collector.finish()) == [*rows.tolist(), *range(500, 1500)]


def test_no_rows():
    assert [*RowRuns.first(0)] == [*RowRuns.of(np.zeros(0, np.int64))] == [*RunCollector().finish()] == []
    assert RowRuns.first(0).places(np.array([3])).tolist() == [-1]
    assert [*RowRuns.first(3).but(np.arange(3))] == []
