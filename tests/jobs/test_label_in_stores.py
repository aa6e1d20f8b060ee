"""Data, model and output may be in a store: the output is the same to the byte; jobs spoil no other's."""

import sys
from types import SimpleNamespace

import pytest
from hash_model import HashModel, write_model_and_texts
from stores import KEY, SECRET

from tfautolabel.data.places import Place
from tfautolabel.jobs import label as job
from tfautolabel.jobs.labelled_parts import LabelledParts
from tfautolabel.jobs.merge import merge

ROWS, PART = 40, 7


@pytest.fixture
def world(tmp_path, monkeypatch, store):
    """A model and texts, one of which cannot be read, here and in a store; TensorFlow is not imported."""
    write_model_and_texts(tmp_path, ROWS, "saved_model.pb")
    store.put_tree(tmp_path, "w")
    monkeypatch.setitem(sys.modules, "tfautolabel.export", SimpleNamespace(load_exported=HashModel))
    monkeypatch.setattr(job, "PART_ROWS", PART)
    monkeypatch.setattr("tfautolabel.data.places.WAITS", ())
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path / "cache"))

    def local(name, **options):
        job.label(tmp_path / "model", tmp_path / "texts", tmp_path / name, progress=False, **options)
        return (tmp_path / name).read_bytes()

    def remote(name, data="w/texts", **options):
        model, data = store.address("w/model"), store.address(data)
        return job.label(model, data, store.address(name), progress=False, **options)

    return SimpleNamespace(base=tmp_path, local=local, remote=remote)


def names(store, folder=""):
    """What there is in a bucket, without the marks of folders and what a test put there."""
    found = Place(store.address(folder)).objects()
    return sorted(path for path, _ in found if not path.startswith("w/"))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "xlsx"])
def test_the_output_is_the_same_to_the_byte(world, store, ending):
    expected = world.local(f"labels.{ending}")
    done = world.remote(f"out/labels.{ending}")
    if ending != "xlsx":  # which holds the time
        assert store.get(f"out/labels.{ending}") == expected
    assert store.get("out/labels.unreadable.csv") == (world.base / "labels.unreadable.csv").read_bytes()
    assert names(store) == sorted([f"out/labels.{ending}", "out/labels.unreadable.csv"])
    assert str(done.labels_file) == store.address(f"out/labels.{ending}")
    # Its own output is written again, and is no example.
    world.remote(f"out/labels.{ending}", data="")
    assert names(store) == sorted([f"out/labels.{ending}", "out/labels.unreadable.csv"])


def test_what_is_in_a_folder_of_the_store(world, store):
    world.remote("out")
    assert names(store) == ["out/predictions.csv", "out/unreadable.csv"]


class Stop(Exception):
    pass


def stopped_after(parts, monkeypatch):
    """Ends a job when it has written some parts."""
    written, write = [], LabelledParts.write

    def counting(self, number, *arguments):
        if len(written) == parts:
            raise Stop
        written.append(number)
        return write(self, number, *arguments)

    monkeypatch.setattr(LabelledParts, "write", counting)


def test_an_interrupted_job_goes_on(world, store, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_after(3, patch)
        with pytest.raises(Stop):
            world.remote("labels.csv")
    assert len([name for name in names(store) if "part-" in name]) == 3
    said = []
    assert world.remote("labels.csv", say=said.append).kept == 3 * PART
    assert any("21 of 41 rows had been labelled" in sentence for sentence in said)
    assert store.get("labels.csv") == world.local("labels.csv")
    assert names(store) == ["labels.csv", "labels.unreadable.csv"]


def test_shards_meet_in_the_store(world, store):
    for number in (2, 1, 3):
        world.remote("labels.parquet", shard=f"{number}/3")
    merge(store.address("labels.parquet"))
    assert store.get("labels.parquet") == world.local("labels.parquet")
    assert names(store) == ["labels.parquet", "labels.unreadable.csv"]


def test_parts_of_two_jobs_are_not_mixed(world, store, monkeypatch):
    """Nobody is kept out of a store, so what is in it must tell whose it is."""
    write = LabelledParts.write

    def with_another(self, number, *arguments):
        part = write(self, number, *arguments)
        if number == 2:
            # The part before is written by a job with another setting, whose rows are the same.
            other = LabelledParts(self._output)
            other._key = "another job's"
            write(other, 1, *arguments)
        return part

    monkeypatch.setattr(LabelledParts, "write", with_another)
    with pytest.raises(BlockingIOError, match=r"another job has begun or ended for s3://"):
        world.remote("labels.csv")
    assert "labels.csv" not in names(store)
    monkeypatch.undo()


def test_parts_of_another_job_are_not_taken_for_finished(world, store, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_after(3, patch)
        with pytest.raises(Stop):
            world.remote("labels.csv", min_confidence=0.9)
    # A job that is still at work goes on writing behind the next one's back.
    parts = LabelledParts(Place(store.address("labels.csv")))
    kept = {path: store.get(path) for path in names(store) if "part-" in path}
    parts.begin({"model": "another"})
    for path, content in kept.items():
        store.put(path, content)
    assert [parts.find(number) for number in range(3)] == [None] * 3


def test_a_network_that_fails_keeps_the_parts(world, store, monkeypatch):
    """A job that cannot ask what is there must not take it for nothing and begin anew."""
    with monkeypatch.context() as patch:
        stopped_after(3, patch)
        with pytest.raises(Stop):
            world.remote("labels.csv")
    before = names(store)
    for path in (
        ".labels.csv.progress/job.json",
        ".labels.csv.progress/part-0000001.parquet",
        "w/texts/20.txt",
    ):
        store.fail(path, 503)
        with pytest.raises(ConnectionError, match=r"the network or the store fails"):
            world.remote("labels.csv")
        store.faults.clear()
        assert set(before) <= set(names(store))
    assert world.remote("labels.csv").kept >= 3 * PART
    assert store.get("labels.csv") == world.local("labels.csv")


@pytest.mark.parametrize("fault", [503, 403, "drop"])
def test_an_output_that_cannot_be_written_leaves_the_parts_and_no_half(world, store, fault):
    store.fail("labels.csv", fault, "POST")
    store.fail("labels.csv", fault, "PUT")
    with pytest.raises(OSError, match=r"labels\.csv cannot be written"):
        world.remote("labels.csv")
    assert "labels.csv" not in names(store)
    store.faults.clear()
    assert world.remote("labels.csv").kept == ROWS + 1
    assert store.get("labels.csv") == world.local("labels.csv")


def test_files_of_somebody_else_stay(world, store):
    for name, content in (
        ("labels.csv", b"id,mine\n1,2\n"),
        ("labels.parquet", b"PAR1 but not"),
        ("l.jsonl", b"{"),
    ):
        store.put(name, content)
        with pytest.raises(ValueError, match=r"was not written by this command"):
            world.remote(name)
        assert store.get(name) == content
    with pytest.raises(ValueError, match=r"results must not replace an input"):
        job.label(world.base / "model", store.address("labels.csv"), store.address("labels.csv"))


def test_a_bucket_that_is_not_there_is_told_before_work(world, store):
    with pytest.raises(FileNotFoundError, match=r"there is no bucket s3://no-such-bucket"):
        job.label(world.base / "model", world.base / "texts", "s3://no-such-bucket/labels.csv")


def test_a_model_is_fetched_once_for_each_content(world, store):
    world.remote("labels.csv")
    (first,) = (world.base / "cache" / "models").iterdir()
    store.requests.clear()
    world.remote("labels.csv")
    path = f"/{store.bucket}/w/model/saved_model.pb"
    assert ("HEAD", path) in store.requests
    assert ("GET", path) not in store.requests
    store.put("w/model/saved_model.pb", b"2")
    world.remote("labels.csv")
    assert len(list((world.base / "cache" / "models").iterdir())) == 2
    assert (first / "model" / "saved_model.pb").read_bytes() == b"1"


@pytest.mark.parametrize("column", ["path", "id"])
def test_nothing_secret_is_written_anywhere(world, store, column):
    said = []
    query = f"X-Amz-Credential={KEY}&X-Amz-Signature={SECRET}"
    rows = "".join(f"{row},{store.address(f'w/texts/{row:02d}.txt')}?{query}\n" for row in range(ROWS))
    store.put("w/rows.csv", f"id,path\n{rows}x,{store.address('w/texts/gone.txt')}?{query}\n")
    model, data, out = (store.address(path) for path in ("w/model", f"w/rows.csv?{query}", "out/labels.csv"))
    done = job.label(model, data, out, input_column=column, id_column="path", progress=False, say=said.append)
    written = [store.get(path) for path in names(store)]
    written += [path.read_bytes() for path in (world.base / "cache").rglob("*") if path.is_file()]
    texts = [*said, *(text.decode("utf-8", "replace") for text in written), str(done), repr(done.unreadable)]
    assert any(store.address("w/texts/00.txt") in text for text in texts)
    for text in texts:
        assert SECRET not in text
        assert KEY not in text
        assert "X-Amz" not in text
