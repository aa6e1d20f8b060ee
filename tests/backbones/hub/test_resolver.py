"""TensorFlow Hub's protocol over HTTP: what goes well, and everything that may go wrong."""

import hashlib
import os
import re
import tarfile
import time

import pytest
from hub_modules import make_image_module
from hub_server import HOSTILE, Answer, archive_of, files_below, packed, serve, set_limits

from tfautolabel.backbones.hub import resolver
from tfautolabel.backbones.hub.load import resolve
from tfautolabel.backbones.hub.resolver import cached_folder, fetch

PATH = "/google/tiny/1"
GOOD = archive_of(
    ("saved_model.pb", b"graph"),
    ("variables", {"type": tarfile.DIRTYPE}),
    ("variables/variables.index", b"\0\1"),
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, inside of a folder of its own, so that what escapes is seen."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "around" / "cache"))
    for name in ("TFAUTOLABEL_OFFLINE", "TFHUB_MODEL_LOAD_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "around" / "cache"


@pytest.fixture
def server(cache):
    with serve({PATH: Answer(GOOD)}) as server:
        yield server


def fails(server, answer, message, cache):
    """One clear error, nothing left behind, and then the next attempt succeeds."""
    server.answers[PATH] = answer
    url = server.url + PATH
    with pytest.raises(RuntimeError, match="the module could not be fetched: ") as caught:
        fetch(url)
    text = str(caught.value)
    assert re.search(message, text), text
    assert "\n" not in text
    assert text.endswith(f"Received: {url!r}")
    assert files_below(cache.parent) == {}
    assert not cached_folder(url)
    server.answers[PATH] = Answer(GOOD)
    assert (fetch(url) / "saved_model.pb").read_bytes() == b"graph"


def test_layout_is_tensorflow_hubs(server, cache, monkeypatch):
    import tensorflow_hub

    url = server.url + PATH
    folder = fetch(url)
    assert folder == cache / hashlib.sha1(url.encode()).hexdigest()
    described = (cache / f"{folder.name}.descriptor.txt").read_text()
    assert described.startswith(f"Module: {url}\nDownload Time: ")
    assert sorted(path.name for path in cache.iterdir()) == [folder.name, f"{folder.name}.descriptor.txt"]
    assert [query for _, query, _, _ in server.requests] == ["tf-hub-format=compressed"]
    assert tensorflow_hub.resolve(url) == str(folder)
    assert len(server.requests) == 1, "tensorflow_hub found ours"

    server.answers["/google/other/1"] = Answer(GOOD)
    theirs = tensorflow_hub.resolve(server.url + "/google/other/1")
    asked = len(server.requests)
    assert str(fetch(server.url + "/google/other/1")) == theirs
    assert len(server.requests) == asked, "we found tensorflow_hub's"


def test_default_cache_is_tensorflow_hubs(monkeypatch, tmp_path):
    from tensorflow_hub.resolver import tfhub_cache_dir

    monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
    assert str(resolver.cache_folder()) == tfhub_cache_dir(use_temp=True)


@pytest.mark.parametrize("mode", ["w:gz", "w:"])
def test_archives_and_their_folders(server, tmp_path, mode):
    module = make_image_module(tmp_path / "module")
    server.answers["/module.tar.gz"] = Answer(packed(module, mode))
    assert files_below(fetch(server.url + "/module.tar.gz?a=b")) == files_below(module)
    assert server.requests[-1][1] == "a=b&tf-hub-format=compressed"


def test_length_may_be_unknown(server):
    server.answers["/chunked/1"] = Answer(GOOD, chunked=True)
    server.answers["/closed/1"] = Answer(GOOD, headers={"Content-Length": None})
    assert (fetch(server.url + "/chunked/1") / "saved_model.pb").is_file()
    assert (fetch(server.url + "/closed/1") / "saved_model.pb").is_file()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_with_their_cookies(server, status):
    def start(*_):
        return Answer(status=status, headers={"Location": "/next?token=1", "Set-Cookie": "a=b; Path=/"})

    def then(query, headers, _):
        assert query == "token=1"
        return Answer(GOOD if headers.get("Cookie") == "a=b" else b"", 200)

    server.answers.update({PATH: start, "/next": then})
    assert (fetch(server.url + PATH) / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd", "302 .*file:///etc/passwd. is not allowed"),
        ("gs://bucket/module", "redirected to gs://bucket/module|not allowed"),
        ("ftp://127.0.0.1/x", "redirected to ftp"),
        (PATH, "the server answered 302 .*infinite loop"),
    ],
)
def test_redirects_lead_to_http_only_and_not_for_ever(server, cache, location, message):
    fails(server, Answer(status=302, headers={"Location": location}), message, cache)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_status_is_named(server, cache, status):
    fails(server, Answer(b"<html>no</html>", status), f"the server answered {status} ", cache)


@pytest.mark.parametrize("part", [0, 100, len(GOOD) - 1])
def test_connection_that_ends_early(server, cache, part):
    answer = Answer(GOOD[:part], headers={"Content-Length": str(len(GOOD))}, cut=True)
    fails(server, answer, rf"{part} of {len(GOOD)} bytes|no complete tar archive|ended before", cache)


def test_plain_archive_that_ends_between_two_members(server, cache):
    plain = archive_of(("saved_model.pb", b"graph"), ("variables", b"1"), mode="w:")
    answer = Answer(plain[:1024], headers={"Content-Length": str(len(plain))}, cut=True)
    fails(server, answer, r"ended after 1,024 of [\d,]+ bytes", cache)


def test_chunks_that_end_early(server, cache):
    fails(server, Answer(GOOD, chunked=True, cut=True), "ended before the archive did", cache)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(server, cache, monkeypatch, kind):
    set_limits(monkeypatch)
    body, message = HOSTILE[kind]
    fails(server, Answer(body), message, cache)


def test_sparse_members_are_refused(server, cache):
    import subprocess

    cache.parent.mkdir(parents=True, exist_ok=True)
    source = cache.parent.parent / "source"
    source.mkdir()
    with open(source / "saved_model.pb", "wb") as file:
        file.truncate(1 << 24)
    subprocess.run(["tar", "-cSzf", source / "sparse.tgz", "-C", source, "saved_model.pb"], check=True)
    fails(server, Answer((source / "sparse.tgz").read_bytes()), "neither a file nor a folder", cache)


def test_nobody_answers(cache, server):
    with pytest.raises(RuntimeError, match=r"there is no connection .*refused"):
        fetch("http://127.0.0.1:1/module/1")
    with pytest.raises(RuntimeError, match=r"there is no connection"):
        fetch("http://no-such-host.invalid/module/1")


def test_server_that_falls_silent(server, monkeypatch, cache):
    import threading

    awake = threading.Event()

    def silent(*_):
        awake.wait(20)
        return Answer(GOOD)

    monkeypatch.setattr(resolver, "TIMEOUT", 0.2)
    server.answers[PATH] = silent
    with pytest.raises(RuntimeError, match=r"sent nothing|timed out"):
        fetch(server.url + PATH)
    awake.set()


def test_what_others_left_behind_is_in_nobodys_way(server, cache):
    """A half-filled folder, the lock of a dead process, and old downloads."""
    url = server.url + PATH
    name = hashlib.sha1(url.encode()).hexdigest()
    (cache / name / "variables").mkdir(parents=True)
    (cache / name / "variables" / "half").write_bytes(b"x")
    (cache / f"{name}.lock").write_text("gone-host.999999.0123456789abcdef")
    old, young = cache / f"{name}.0123.tmp", cache / f"{name}.4567.tmp"
    for folder in (old, young):
        folder.mkdir()
        (folder / "half").write_bytes(b"x")
    long_ago = time.time() - 2 * resolver.ABANDONED
    os.utime(old, (long_ago, long_ago))
    folder = fetch(url)
    assert files_below(folder).keys() == {"saved_model.pb", "variables/variables.index"}
    assert not old.exists()
    assert young.exists(), "another process may still be at work"


def test_quicker_process_wins(server, cache, monkeypatch):
    url = server.url + PATH
    target = cache / hashlib.sha1(url.encode()).hexdigest()

    def meanwhile(*_):
        target.mkdir()
        (target / "saved_model.pb").write_bytes(b"theirs")
        return Answer(GOOD)

    server.answers[PATH] = meanwhile
    assert (fetch(url) / "saved_model.pb").read_bytes() == b"theirs"
    assert not list(cache.glob("*.tmp"))


def test_cache_that_cannot_be_written(server, cache):
    cache.parent.mkdir()
    cache.write_text("a file")
    with pytest.raises(RuntimeError, match=r"the module could not be fetched: .*cache"):
        fetch(server.url + PATH)


def test_formats(server, monkeypatch):
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", "UNCOMPRESSED")
    with pytest.raises(RuntimeError, match=r"from Google Cloud Storage.*set it to COMPRESSED"):
        fetch(server.url + PATH)
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", "ZIPPED")
    with pytest.raises(ValueError, match=r"one of COMPRESSED, UNCOMPRESSED, AUTO\. Received: 'ZIPPED'"):
        fetch(server.url + PATH)
    assert server.requests == []
    monkeypatch.setenv("TFHUB_MODEL_LOAD_FORMAT", "COMPRESSED")
    assert (fetch(server.url + PATH) / "saved_model.pb").is_file()


def test_files_by_url_and_other_schemes(tmp_path, cache):
    module = make_image_module(tmp_path / "a module")
    assert resolve(module.as_uri()) == module
    archive = tmp_path / "module.tar.gz"
    archive.write_bytes(GOOD)
    for handle in (str(archive), archive.as_uri()):
        with pytest.raises(FileNotFoundError, match="which is a file: unpack an archive first"):
            resolve(handle)
    with pytest.raises(FileNotFoundError, match="a URL or the folder of a SavedModel"):
        resolve("file:///nowhere/at/all")
    with pytest.raises(RuntimeError, match="tensorflow_hub could not resolve the module"):
        resolve("nothing://bucket/module")


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (
            "https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5",
            "; the same module is kaggle:google/mobilenet-v2/tensorFlow2/100-224-feature-vector.",
        ),
        ("https://tfhub.dev/somebody/something/1", "kaggle:OWNER/MODEL/tensorFlow2/VARIATION."),
        (
            "https://www.kaggle.com/models/google/nnlm/frameworks/TensorFlow2/variations/en-dim50/versions/1",
            "the same module is kaggle:google/nnlm/tensorFlow2/en-dim50/1.",
        ),
        ("https://example.com/somebody/something/1", "no connection (refused). Received"),
    ],
)
def test_moved_modules_are_named(cache, monkeypatch, url, hint):
    import urllib.error

    def refuse(*_, **__):
        raise urllib.error.URLError("refused")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", refuse)
    with pytest.raises(RuntimeError, match=re.escape(hint)):
        fetch(url)
