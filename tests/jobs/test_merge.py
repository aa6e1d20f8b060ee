"""Shards are labelled by jobs that know nothing of each other; merging gives what one job gives."""

import os
import sys
from types import SimpleNamespace

import pytest
from hash_model import HashModel, write_model_and_texts

from tfautolabel.jobs import label as job
from tfautolabel.jobs.merge import merge
from tfautolabel.jobs.shards import Shard

ROWS, PART = 60, 7
PARTS = 9


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A model and texts, one of which cannot be read; TensorFlow is not imported."""
    write_model_and_texts(tmp_path, ROWS)
    monkeypatch.setitem(sys.modules, "tfautolabel.export", SimpleNamespace(load_exported=HashModel))
    monkeypatch.setattr(job, "PART_ROWS", PART)

    def label(name, **options):
        return job.label(tmp_path / "model", tmp_path / "texts", tmp_path / name, progress=False, **options)

    return SimpleNamespace(base=tmp_path, label=label)


def hidden(folder):
    return [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("count", [1, 3, 20])
def test_shards_that_are_merged_are_the_bytes_of_one_job(place, ending, count):
    whole = place.label(f"whole.{ending}")
    done = [place.label(f"out.{ending}", shard=f"{number}/{count}") for number in range(count, 0, -1)]
    assert not any(one.merged for one in done)
    assert not (place.base / f"out.{ending}").exists()
    merged = merge(place.base / f"out.{ending}")
    assert merged.merged
    for name in (f"{{}}.{ending}", "{}.unreadable.csv"):
        one, other = (place.base / name.format(which) for which in ("whole", "out"))
        assert one.read_bytes() == other.read_bytes()
    assert (merged.total, merged.accepted, merged.reasons) == (whole.total, whole.accepted, whole.reasons)
    assert sum(one.total for one in done) == whole.total
    assert merged.unreadable == whole.unreadable
    assert hidden(place.base) == []


def test_a_job_without_a_shard_labels_what_shards_have_left(place):
    place.label("out.csv", shard="2/3")
    said = []
    rest = place.label("out.csv", say=said.append)
    assert rest.kept == 3 * PART
    place.label("whole.csv")
    assert (place.base / "out.csv").read_bytes() == (place.base / "whole.csv").read_bytes()


def test_parts_that_are_missing_are_named_by_their_shards(place):
    place.label("out.csv", shard="2/4")
    with pytest.raises(
        ValueError, match=r"7 of 9 parts of .*out\.csv are not labelled yet, of these shards: 1/4, 3/4, 4/4"
    ):
        merge(place.base / "out.csv")
    assert hidden(place.base)


@pytest.mark.parametrize("before", [None, "whole job"])
def test_there_must_be_shards_to_merge(place, before):
    if before:
        place.label("out.csv")
    with pytest.raises(ValueError, match=r"there are no labels of shards for .*out\.csv"):
        merge(place.base / "out.csv")
    assert hidden(place.base) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda place: (place / "model" / "weights").write_bytes(b"2"), "model"),
        (lambda place: (place / "texts" / "new.txt").write_bytes(b"text"), "list of rows"),
    ],
)
def test_shards_of_another_model_or_other_data_are_not_mixed(place, change, what):
    place.label("out.csv", shard="1/2")
    change(place.base)
    with pytest.raises(
        ValueError, match=f"holds labels of a job with another {what}: remove it to begin again"
    ):
        place.label("out.csv", shard="2/2")
    assert place.label("out.csv").kept == 0


def test_shards_run_at_the_same_time_but_not_the_same_one_nor_beside_a_whole_job(place):
    parts = job.LabelledParts(place.base / "out.csv")
    with parts.shared(Shard(1, 2)):
        place.label("out.csv", shard="2/2")
        with pytest.raises(BlockingIOError, match=r"another process labels shard 1/2 of .*out\.csv"):
            place.label("out.csv", shard="1/2")
        for whole in (lambda: place.label("out.csv"), lambda: merge(place.base / "out.csv")):
            with pytest.raises(BlockingIOError, match=r"another process is writing .*out\.csv"):
                whole()
    with parts.alone(), pytest.raises(BlockingIOError, match="another process is writing"):
        place.label("out.csv", shard="1/2")
    place.label("out.csv", shard="1/2")
    assert merge(place.base / "out.csv").total == ROWS


def test_a_mistake_of_a_shard_leaves_nothing(place):
    with pytest.raises(FileNotFoundError):
        job.label(place.base / "model", place.base / "nowhere", place.base / "out.csv", shard="1/2")
    assert hidden(place.base) == []


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_a_shard_that_makes_no_sense_is_refused(place, shard):
    with pytest.raises(ValueError, match=r"shard must be i/n with whole numbers, .*Received: shard="):
        place.label("out.csv", shard=shard)
