"""Addresses, and the part of pathlib's interface that a place in a store has."""

import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import KEY, SECRET

from tfautolabel.data.places import (
    Place,
    in_full,
    is_remote,
    is_within,
    patiently,
    place_at,
    place_of,
    shown,
)

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


@pytest.mark.parametrize(
    ("written", "address", "path"),
    [
        ("s3://bucket/a/b.jpg", "s3://bucket/a/b.jpg", "bucket/a/b.jpg"),
        ("S3://bucket/a/", "s3://bucket/a", "bucket/a"),
        ("s3://bucket", "s3://bucket", "bucket"),
        ("s3://bucket/what?.jpg", "s3://bucket/what?.jpg", "bucket/what?.jpg"),
        ("s3://bucket/100%25.jpg", "s3://bucket/100%25.jpg", "bucket/100%25.jpg"),
        ("gs://bucket/a", "gs://bucket/a", "bucket/a"),
        ("az://container/a", "az://container/a", "container/a"),
        ("abfss://c@account.dfs.core.windows.net/a", "abfss://c@account.dfs.core.windows.net/a", "c/a"),
        ("hdfs://anna@host:8020/a", "hdfs://anna@host:8020/a", "/a"),
    ],
)
def test_addresses_are_read(written, address, path):
    assert is_remote(written)
    assert (place_at(written).address, place_at(written).path) == (address, path)
    # pathlib takes two slashes for one.
    assert place_of(Path(written)) == place_of(written) == place_at(written)
    assert pickle.loads(pickle.dumps(place_at(written))) == place_at(written)


@pytest.mark.parametrize(
    "written", ["photos", "/s3/x", "C:/x", "https://bucket/x", "s3:x", "file:///x", "s3"]
)
def test_paths_are_no_addresses(written):
    assert not is_remote(written)
    assert place_of(written) == Path(written)
    assert shown(written) == written


@pytest.mark.parametrize("name", ["X-Amz-Signature", "Signature", "sig", "X-Goog-Signature"])
def test_signatures_are_left_out(name):
    address = f"s3://bucket/a/1.jpg?X-Amz-Date=20260101&{name}={SECRET}"
    assert place_at(address).address == shown(address) == in_full(address) == "s3://bucket/a/1.jpg"


@pytest.mark.parametrize(
    "address",
    [
        f"s3://{KEY}:{SECRET}@bucket/a",  # the secret holds slashes
        f"s3://{KEY}@bucket/a",
        f"gs://{KEY}:x@bucket/a",
        f"az://{KEY}@container/a",
        f"abfss://c:{KEY}@account.dfs.core.windows.net/a",
        f"hdfs://anna:{KEY}@host/a",
        f"s3://bucket/a?access_key={KEY}",
        f"s3://bucket/a?versionId={KEY}",
    ],
)
def test_keys_are_refused_and_not_shown(address):
    with pytest.raises(ValueError, match=r"the environment") as caught:
        place_at(address)
    for text in (str(caught.value), shown(address)):
        assert KEY not in text
        assert SECRET.split("/")[0] not in text


@pytest.mark.parametrize(
    "address", ["s3://", "s3:///", "s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/./b"]
)
def test_what_no_store_has_is_refused(address):
    if is_remote(address):
        with pytest.raises(ValueError, match=r"^an address .* Received: s3://"):
            place_at(address)


def test_places_know_what_lies_within(tmp_path):
    assert is_within("s3://bucket/a/b", "s3://bucket/a")
    assert not is_within("s3://bucket/ab", "s3://bucket/a")
    assert not is_within("s3://bucket/a", tmp_path)
    assert not is_within(tmp_path, "s3://bucket/a")
    assert is_within(tmp_path / "a", tmp_path)


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
