"""A place in a store reads, lists and writes as pathlib does; nothing is ever seen half written."""

import os
import signal
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow.fs import LocalFileSystem

from tfautolabel.data.addresses import place_at
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.places import Place, patiently

PART = st.text(st.characters(categories=["L", "N"], include_characters=" -_%+"), min_size=1, max_size=8)


@given(st.lists(PART, min_size=1, max_size=4))
def test_places_name_their_parts_as_pathlib_does(parts):
    place, path = Place("s3://bucket"), PurePosixPath("bucket")
    for part in parts:
        place, path = place / part, path / part
    assert place_at(str(place)) == place
    assert (place.name, place.stem, place.suffix) == (path.name, path.stem, path.suffix)
    assert str(place.parent) == f"s3://{path.parent}"
    assert place.path == str(path)
    assert str(place.with_name("x.csv")) == f"s3://{path.with_name('x.csv')}"
    assert Place("s3://bucket").contains(place)
    assert not place.contains(Place("s3://bucket"))


def test_what_a_place_holds(store):
    store.put("a/b/1.txt", "one")
    store.put("a/2.txt", b"")
    place = place_at(store.address("a"))
    assert (place.is_dir(), place.is_file(), place.exists()) == (True, False, True)
    file = place / "b" / "1.txt"
    assert (file.is_dir(), file.is_file(), file.stat().st_size) == (False, True, 3)
    assert (file.read_bytes(), (place / "2.txt").read_bytes()) == (b"one", b"")
    assert not (place / "3.txt").exists()
    assert sorted(place.objects()) == [("2.txt", 0), ("b/1.txt", 3)]
    with pytest.raises(FileNotFoundError, match=r"no such bucket"):
        (place / "3.txt").read_bytes()
    with pytest.raises(FileNotFoundError, match=r"no such bucket"):
        place_at("s3://no-such-bucket").objects()


def test_large_files_come_in_pieces(store, monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.PIECE", 1000)
    store.put("large", bytes(range(250)) * 10)
    assert [len(piece) for piece in place_at(store.address("large")).pieces()] == [1000, 1000, 500]


def test_a_broken_piece_is_asked_for_again(store, monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.WAITS", (0.0, 0.0))
    monkeypatch.setattr("tfautolabel.data.places.PIECE", 1000)
    store.put("large", b"x" * 2500)
    left = [404]  # which the client does not ask again about by itself

    def once(environ):
        if "HTTP_RANGE" in environ and "1000-" in environ["HTTP_RANGE"] and left:
            left.pop()
            return "drop"
        return None

    store.fail("large", once)
    assert place_at(store.address("large")).read_bytes() == b"x" * 2500
    assert not left


def test_a_file_that_changes_meanwhile_is_refused(store, monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.PIECE", 1000)
    store.put("large", b"x" * 2500)
    pieces = place_at(store.address("large")).pieces()
    assert next(pieces) == b"x" * 1000
    store.put("large", b"y" * 2500)
    with pytest.raises(ConnectionError, match=r"replaced while it was read"):
        list(pieces)


def test_only_failures_of_the_network_are_tried_again(monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.WAITS", (0.0, 0.0))
    for error, tries, made in (
        (OSError("AWS Error NETWORK_CONNECTION during HeadObject"), 3, ConnectionError),
        (OSError("AWS Error ACCESS_DENIED during HeadObject"), 1, PermissionError),
        (FileNotFoundError(2, "gone"), 1, FileNotFoundError),
    ):
        calls = []

        def attempt(error=error, calls=calls):
            calls.append(1)
            raise error

        with pytest.raises(made, match=r"^s3://b/x cannot be read: "):
            patiently(attempt, "s3://b/x")
        assert len(calls) == tries


def test_files_are_put_listed_and_removed(store, tmp_path):
    folder = place_at(store.address("a"))
    assert folder.glob("*") == []
    (tmp_path / "file").write_bytes(b"content")
    for name in ("part-1.csv", "part-2.csv", "other"):
        (folder / name).put(tmp_path / "file")
    assert sorted(place.name for place in folder.glob("part-*.csv")) == ["part-1.csv", "part-2.csv"]
    assert (folder / "other").read_text() == "content"
    (folder / "part-1.csv").unlink()
    (folder / "part-1.csv").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (folder / "part-1.csv").unlink()
    assert [place.name for place in folder.glob("part-*.csv")] == ["part-2.csv"]
    folder.remove_tree()
    folder.remove_tree()
    assert folder.glob("*") == []


def test_buckets_that_are_not_there(store):
    place_at(store.address("a/b")).check_bucket()
    with pytest.raises(FileNotFoundError, match=r"there is no bucket s3://no-such-bucket$"):
        place_at("s3://no-such-bucket/a").check_bucket()
    store.fail("", 403)
    place_at(store.address("a/b")).check_bucket()  # who may write need not be allowed to look


class Stop(BaseException):
    pass


@pytest.mark.parametrize("mode", ["w", "wb"])
@pytest.mark.parametrize("error", [ValueError, Stop, KeyboardInterrupt])
def test_a_writer_that_fails_writes_nothing(store, mode, error):
    store.put("file", "before")
    store.requests.clear()

    def write():
        with atomic_write(place_at(store.address("file")), mode) as file:
            file.write("half" if mode == "w" else b"half")
            raise error

    with pytest.raises(error):
        write()
    assert store.requests == []
    assert store.get("file") == b"before"


STEPS = [("POST", "uploads"), ("PUT", "partNumber"), ("POST", "uploadId")]
"""The requests in which an object comes to be: it begins, it has content, it gets its name."""


@pytest.mark.parametrize(("step", "fault"), [(0, 403), (1, 503), (1, "drop"), (2, 503), (2, "drop")])
def test_a_request_that_fails_leaves_what_was_there(store, step, fault, monkeypatch):
    monkeypatch.setattr("tfautolabel.data.places.WAITS", ())
    store.put("file", "before")
    method, word = STEPS[step]
    store.fail("file", lambda environ: fault if word in environ["QUERY_STRING"] else None, method)
    with (
        pytest.raises(OSError, match=r"file cannot be written"),
        atomic_write(place_at(store.address("file"))) as file,
    ):
        file.write("after")
    store.faults.clear()
    assert store.get("file") == b"before"


CHILD = """
import sys
from tfautolabel.data.addresses import place_at
from tfautolabel.data.atomic import atomic_write
with atomic_write(place_at(sys.argv[1])) as file:
    file.write("after")
"""


@pytest.mark.parametrize("step", range(3))
def test_a_writer_that_is_killed_leaves_what_was_there(store, step):
    store.put("file", "before")
    method, word = STEPS[step]
    children = []

    def kill(environ):
        if word in environ["QUERY_STRING"]:
            os.kill(children[0].pid, signal.SIGKILL)
            children[0].wait()
            return "drop"
        return None

    store.fail("file", kill, method)
    command = [sys.executable, "-c", CHILD, store.address("file")]
    with subprocess.Popen(command) as child:
        children.append(child)
    assert child.returncode == -signal.SIGKILL
    store.faults.clear()
    assert store.get("file") == b"before"


def test_where_files_are_seen_while_they_are_written_they_are_renamed(tmp_path, monkeypatch):
    """HDFS is such a store; a file system of this machine stands in for it."""
    monkeypatch.setattr("tfautolabel.data.places.open_store", lambda *_: LocalFileSystem())
    monkeypatch.setattr("tfautolabel.data.places.WAITS", ())
    (tmp_path / "file").write_bytes(b"content")
    place = place_at(f"hdfs://host{tmp_path}/new/folder/name.csv")
    place.put(tmp_path / "file")
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["name.csv"]
    assert place.read_bytes() == b"content"
    assert place.parent.objects() == [("name.csv", 7)]
    assert place.version() == place.version()
    place.parent.remove_tree()
    assert not (tmp_path / "new" / "folder").exists()
