"""Addresses of stores are told from paths, and what is secret in them is shown nowhere."""

import pickle
from pathlib import Path

import pytest
from stores import KEY, SECRET

from tfautolabel.data.addresses import in_full, is_remote, is_within, place_at, place_of, shown
from tfautolabel.data.atomic import atomic_folder, atomic_write
from tfautolabel.jobs import run


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


def test_only_who_looks_at_what_is_there_writes_to_a_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("s3://bucket/out", Path("s3://bucket/out")):
        for attempt in (
            lambda address=address: run("texts", address),
            lambda address=address: atomic_write(address),
            lambda address=address: atomic_folder(address).__enter__(),
        ):
            with pytest.raises(ValueError, match=r"written on this machine.* Received: s3://bucket/out$"):
                attempt()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "written",
    [
        "s3://bucket/1.jpg?X-Amz-Signature=1b2c&",
        "s3://bucket/1.jpg?X-Amz-Signature=1b2c&acl",
        "s3://bucket/1.jpg?&sig=1b2c",
        "s3://bucket/1.jpg?sp=r&sig=1b 2c",
        "s3://bucket/1.jpg?X-Amz-Signature[]=1b2c",
        "s3:///bucket/1.jpg?X-Amz-Signature=1b2c",
        "hdfs://user:1b2c/ss@host/1.jpg",
        "hdfs://host:1b2c/1.jpg",
    ],
)
def test_nothing_of_a_signature_or_a_password_is_shown(written):
    assert "1b" not in shown(written)
