"""A long table is held otherwise than a short one, and gives the same."""

import csv
import json
import pickle
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.data import class_ids as held_class_ids
from tfautolabel.data import row_names as held_names
from tfautolabel.data.class_ids import FewLabels
from tfautolabel.data.narrowed import narrowed
from tfautolabel.data.readers import read_rows
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.row_runs import RowRuns
from tfautolabel.data.tables import contract
from tfautolabel.jobs.digests import names_digest
from tfautolabel.jobs.plan import MOST_PARTS, Plan
from tfautolabel.jobs.runners.worker import packed
from tfautolabel.jobs.shards import Shard
from tfautolabel.labels import ABSTAIN

ROWS = 300


def texts(row):
    return "" if row % 97 == 5 else f"text {row}, \nin two lines" if row % 50 == 7 else f"text {row}"


LABELS = [("b" if row % 2 else "a") if row in (3, 4, 100, 299) else "" for row in range(ROWS)]


def parquet(place):
    columns = {"text": [texts(row) for row in range(ROWS)], "label": [name or None for name in LABELS]}
    pq.write_table(pa.table(columns), place / "t.parquet", row_group_size=90)
    return place / "t.parquet"


def comma_separated(place):
    with open(place / "t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["text", "label"], *[[texts(row), LABELS[row]] for row in range(ROWS)]])
    return place / "t.csv"


def lines(place):
    rows = [{"text": texts(row), "label": LABELS[row]} for row in range(ROWS)]
    (place / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return place / "t.jsonl"


@pytest.fixture
def long(monkeypatch):
    def from_now_on():
        for module in (contract, held_class_ids, held_names):
            monkeypatch.setattr(module, "LONG", 20)

    return from_now_on


def look(dataset):
    """Everything that can be seen of a data set."""
    return (
        [*dataset.ids], dataset.ids.tolist(), dataset.class_ids.tolist(), dataset.classes, repr(dataset),
        [*map(str, dataset.read(range(len(dataset))))], dataset.unreadable, dataset.notes,
    )  # fmt: skip


def seen(dataset):
    """The same of some data sets that are made of it."""
    odd, mask = np.arange(1, len(dataset), 2), np.arange(len(dataset)) % 3 == 0
    pool = dataset.unlabelled
    return [
        look(one)
        for one in (
            dataset, dataset.labelled, pool, dataset.subset(odd), dataset.subset(mask), pool.subset(odd[:50]),
            pool.subset(np.arange(len(pool))), dataset.with_classes(("b", "c", "a")), dataset.split()[0],
            pool.with_frame(2), pool.unlabelled, dataset.subset(odd[::-1]), dataset.with_notes(["so"]),
        )
    ]  # fmt: skip


@pytest.mark.parametrize("labels", ["auto", None])
@pytest.mark.parametrize("kind", [parquet, comma_separated, lines])
def test_a_long_table_gives_what_a_short_one_gives(tmp_path, long, kind, labels):
    file = kind(tmp_path)
    expected = seen(load_dataset(file, labels))
    long()
    dataset = load_dataset(file, labels)
    assert isinstance(dataset.ids, RowNames)
    assert isinstance(dataset.unlabelled.ids, RowNames)
    assert isinstance(dataset.unlabelled.reader.rows, RowRuns)
    assert seen(dataset) == expected


@pytest.mark.parametrize("kind", [parquet, comma_separated, lines])
def test_a_part_of_a_long_table_can_be_sent(tmp_path, long, kind):
    long()
    pool = load_dataset(kind(tmp_path)).unlabelled
    part = pool.subset(np.arange(100, 160))
    reader = pickle.loads(pickle.dumps(narrowed(part.reader, np.arange(60))))
    assert read_rows(reader, range(60)) == pool.read(np.arange(100, 160))
    there = pickle.loads(packed(part))
    assert there.ids.tolist() == part.ids.tolist()
    assert there.read(range(60)) == part.read(range(60))


def test_labels_of_few_rows():
    dense = np.full(50, ABSTAIN)
    dense[[3, 40]] = 1, 0
    few = FewLabels(50, [3, 40], [1, 0])
    for rows in (np.array([40, 3, 2, 3]), RowRuns([2, 39], [5, 41])):
        found = held_class_ids.ids_at(few, rows)
        assert held_class_ids.dense_ids(found).tolist() == dense[np.asarray(rows)].tolist()
    with pytest.raises(ValueError, match="class_ids must lie in"):
        Dataset(_Nothing(50), RowNames(RowRuns.first(50)), FewLabels(50, [1], [2]), ["a", "b"])
    with pytest.raises(ValueError, match="one length"):
        Dataset(_Nothing(50), RowNames(RowRuns.first(50)), FewLabels(51, [1], [1]), ["a", "b"])


def test_names_that_are_numbers():
    names = RowNames(RowRuns([2, 8], [4, 11]))
    assert (names[0], names[-1], len(names), names.shape, names.size) == ("2", "10", 5, (5,), 5)
    assert names[1:3].tolist() == ["3", "8"]
    assert names[[4, 0]].tolist() == ["10", "2"]
    assert (names == np.array(["2", "x", "8", "9", "10"])).tolist() == [True, False, True, True, True]
    assert np.sort(names).tolist() == ["10", "2", "3", "8", "9"]
    assert names_digest(names) == names_digest(RowNames(RowRuns([2, 8], [4, 11])))
    assert names_digest(names) != names_digest(RowNames(RowRuns([2, 8], [4, 12])))


class _Nothing:
    """So many rows that cannot be read."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count


def test_a_billion_rows_are_planned_in_little_memory():
    rows = 10**9
    tracemalloc.start()
    labelled = np.sort(np.random.default_rng(0).choice(rows, 50, replace=False))
    whole = Dataset(
        _Nothing(rows),
        RowNames(RowRuns.first(rows)),
        FewLabels(rows, labelled, np.arange(50) % 2),
        ["a", "b"],
        modality="text",
    )
    pool, plan = whole.unlabelled, Plan.of(rows - 50, 2048)
    digest = names_digest(pool.ids)
    sizes = 0
    for number in plan.numbers(Shard(7, 16))[::400]:
        part = plan.part(number)
        one = pool.subset(np.arange(part.start, part.stop))
        first, last = int(one.ids[0]), int(one.ids[len(one) - 1])
        # As many labelled rows lie before a row of the pool as its number is larger than its place.
        assert first - part.start == np.searchsorted(labelled, first)
        assert last - (part.stop - 1) == np.searchsorted(labelled, last)
        sizes += len(one)
    held = tracemalloc.get_traced_memory()[0]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(digest) == 64
    assert sizes == 3 * plan.part_rows
    assert held < 3_000_000
    assert most < 30_000_000


def test_parts_are_not_more_than_a_folder_takes():
    for rows in (0, 1, 2048, 2049, 33_554_432, 33_554_433, 10**9, 10**11):
        plan = Plan.of(rows, 2048)
        assert plan.parts <= MOST_PARTS
        assert (plan.part_rows == 2048) == (rows <= 2048 * MOST_PARTS)
        assert plan.part_rows % 2048 == 0
        if plan.parts:
            assert plan.part(plan.parts - 1).stop == rows
    assert [Plan.of(rows, 2048).parts for rows in (10**9, 10**8)] == [15_259, 12_208]  # as docs/scale.md says
    plan = Plan.of(100_000, 2048)
    shards = {place: plan.numbers(Shard(place + 1, 3)) for place in range(3)}
    assert sorted(number for numbers in shards.values() for number in numbers) == [*plan.numbers()]
    assert all(number % 3 == place for place, numbers in shards.items() for number in numbers)
