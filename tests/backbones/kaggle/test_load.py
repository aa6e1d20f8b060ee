"""Models of Kaggle, through kagglehub's own client, against a server on loopback."""

import json
import re

import numpy as np
import pytest
from hub_modules import make_image_module, make_text_pair
from hub_server import (
    HOSTILE,
    Answer,
    archive_of,
    files_below,
    packed,
    serve,
    set_limits,
    stand_in_for_kaggle,
)

from tfautolabel.backbones import load_backbone
from tfautolabel.backbones.kaggle import load
from tfautolabel.backbones.kaggle.load import fetch_model, parse

pytest.importorskip("kagglehub")

SERVICE = "/api/v1/models.ModelApiService/"
DOWNLOAD, NEWEST = SERVICE + "DownloadModelInstanceVersion", SERVICE + "GetModelInstance"
MODEL = "google/tiny/tensorFlow2/small"
GOOD = archive_of(("saved_model.pb", b"graph"), ("variables/variables.index", b"\0\1"))


def version(number):
    body = json.dumps({"id": 1, "versionNumber": number}).encode()
    return Answer(body, headers={"Content-Type": "application/json"})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "around" / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TFAUTOLABEL_OFFLINE", "KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "around" / "cache"


@pytest.fixture
def server(cache, monkeypatch):
    """Kaggle, as its client calls the machine itself."""
    with serve({DOWNLOAD: Answer(GOOD), NEWEST: version(3)}) as server:
        stand_in_for_kaggle(monkeypatch, server.url)
        yield server


def fails(server, answer, message, cache, path=DOWNLOAD):
    """One clear error, nothing left behind, and then the next attempt succeeds."""
    before = server.answers[path]
    server.answers[path] = answer
    with pytest.raises(RuntimeError, match="the model could not be fetched from Kaggle: ") as caught:
        fetch_model(MODEL)
    text = str(caught.value)
    assert re.search(message, text), text
    assert "\n" not in text
    assert text.endswith(f"Received: 'kaggle:{MODEL}'")
    assert files_below(cache.parent) == {}
    server.answers[path] = before
    assert (fetch_model(MODEL) / "saved_model.pb").read_bytes() == b"graph"


def test_cache_is_kagglehubs(server, cache):
    import kagglehub

    folder = fetch_model(MODEL)
    assert folder == cache / "models" / "google" / "tiny" / "tensorFlow2" / "small" / "3"
    asked = [json.loads(content) for path, _, content, _ in server.requests if path == DOWNLOAD]
    assert [(one["ownerSlug"], one["instanceSlug"], one["versionNumber"]) for one in asked] == [
        ("google", "small", 3)
    ]
    assert kagglehub.model_download(f"{MODEL}/3") == str(folder)
    assert len([1 for path, *_ in server.requests if path == DOWNLOAD]) == 1, "kagglehub found ours"
    fetch_model(f"{MODEL}/3")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["3", "3.complete"]


def test_newest_version_is_asked_for(server):
    assert fetch_model(MODEL).name == "3"
    server.answers[NEWEST] = version(4)
    assert fetch_model(MODEL).name == "4"
    assert fetch_model(f"{MODEL}/2").name == "2"


def test_credentials_are_sent(server, monkeypatch):
    monkeypatch.setenv("KAGGLE_API_TOKEN", "token-of-a-test")
    fetch_model(MODEL)
    assert {headers["Authorization"] for *_, headers in server.requests} == {"Bearer token-of-a-test"}


def test_redirects_are_followed(server):
    server.answers[DOWNLOAD] = Answer(status=302, headers={"Location": "/storage/archive.tar.gz"})
    server.answers["/storage/archive.tar.gz"] = Answer(GOOD)
    assert (fetch_model(MODEL) / "saved_model.pb").is_file()


def test_offline_once_cached(server, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    for reference in (MODEL, f"{MODEL}/3"):
        with pytest.raises(FileNotFoundError, match=r"not in kagglehub's cache and TFAUTOLABEL_OFFLINE"):
            fetch_model(reference)
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE")
    fetch_model(f"{MODEL}/2")
    folder = fetch_model(MODEL)
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    asked = len(server.requests)
    assert fetch_model(MODEL) == fetch_model(f"{MODEL}/3") == folder
    assert len(server.requests) == asked


def test_without_a_network(server, monkeypatch):
    folder = fetch_model(MODEL)
    stand_in_for_kaggle(monkeypatch, "http://127.0.0.1:1")
    assert fetch_model(MODEL) == fetch_model(f"{MODEL}/3") == folder
    with pytest.raises(RuntimeError, match="the connection to Kaggle failed"):
        fetch_model("google/other/tensorFlow2/small")
    with pytest.raises(RuntimeError, match="the connection to Kaggle failed"):
        fetch_model(f"{MODEL}/9")


@pytest.mark.parametrize("path", [DOWNLOAD, NEWEST])
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "credentials are not valid: set KAGGLE_API_TOKEN"),
        (403, "credentials or for consent: accept its terms.*KAGGLE_API_TOKEN"),
        (404, "there is no such model"),
        (500, "Kaggle answered 500"),
    ],
)
def test_status_is_explained(server, cache, status, message, path):
    body = json.dumps({"code": status, "message": "says\nKaggle"}).encode()
    fails(server, Answer(body, status, {"Content-Type": "application/json"}), message, cache, path)


def test_answer_that_is_none(server, cache):
    fails(server, Answer(b"<html>", headers={"Content-Type": "text/html"}), "", cache, NEWEST)


@pytest.mark.parametrize("part", [0, 100, len(GOOD) - 1])
def test_connection_that_ends_early(server, cache, part):
    answer = Answer(GOOD[:part], headers={"Content-Length": str(len(GOOD))}, cut=True)
    fails(server, answer, r"of \d+ bytes|no complete tar archive|ended before", cache)
    fails_in_chunks = Answer(GOOD[: part or 1], chunked=True, cut=True)
    server.answers[NEWEST] = version(7)
    server.answers[DOWNLOAD] = fails_in_chunks
    with pytest.raises(RuntimeError, match=r"ended before the archive did|no complete tar archive"):
        fetch_model(MODEL)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives(server, cache, monkeypatch, kind):
    set_limits(monkeypatch)
    body, message = HOSTILE[kind]
    fails(server, Answer(body), message, cache)


def test_half_a_model_is_fetched_anew(server, cache):
    folder = cache.joinpath("models", *MODEL.split("/"), "3")
    folder.mkdir(parents=True)
    (folder / "variables").write_bytes(b"half")
    folder.with_name("3.archive").write_bytes(b"half")
    assert files_below(fetch_model(MODEL)).keys() == {"saved_model.pb", "variables/variables.index"}
    folder.with_name("3.complete").touch()
    (folder / "saved_model.pb").unlink()
    assert (fetch_model(f"{MODEL}/3") / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("google/yamnet", r"followed by OWNER/MODEL/FRAMEWORK/VARIATION.*Received: 'google/yamnet'"),
        ("google/tiny/tensorFlow2/small/newest", "OWNER/MODEL/FRAMEWORK/VARIATION, or by that"),
        ("google/tiny/tensorFlow2/small/0", "OWNER/MODEL/FRAMEWORK/VARIATION, or by that"),
        ("google/../tensorFlow2/small", "OWNER/MODEL/FRAMEWORK/VARIATION"),
        ("google//tensorFlow2/small", "OWNER/MODEL/FRAMEWORK/VARIATION"),
        ("google/yamnet/tfLite/classification", r"one of tensorFlow2, tensorFlow1.*Received: 'tfLite'"),
        ("keras/bert/keras/bert_base_en", r"kerashub:kaggle://OWNER/MODEL/keras/VARIATION"),
    ],
)
def test_references_that_are_not_valid(reference, message):
    with pytest.raises(ValueError, match=message):
        load_backbone(f"kaggle:{reference}")


def test_framework_is_read_in_any_case():
    assert parse("a/b/TENSORFLOW1/c").framework == "tensorFlow1"


def test_missing_package_names_its_extra(cache, monkeypatch):
    import sys

    for name in ("kagglehub", "kagglehub.clients"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'pip install "tfautolabel\[kaggle\]"'):
        fetch_model(MODEL)


def test_modules_and_pairs_become_backbones(server, tmp_path):
    server.answers[DOWNLOAD] = Answer(packed(make_image_module(tmp_path / "module")))
    backbone = load_backbone(f"kaggle:{MODEL}")
    assert (backbone.handle, backbone.feature_dim) == (f"kaggle:{MODEL}", 16)
    assert backbone.fingerprint == load_backbone(str(tmp_path / "module")).fingerprint
    with pytest.raises(ValueError, match=r"kaggle: backbones have the options .*Received: \['colour'\]"):
        load_backbone(f"kaggle:{MODEL}", colour=1)

    first, second = make_text_pair(tmp_path / "pair")

    def answer(_query, _headers, content):
        return Answer(packed(first if json.loads(content)["modelSlug"] == "words" else second))

    server.answers[DOWNLOAD] = answer
    pair = load_backbone("kaggle:google/words/tensorFlow2/en/1+google/encoder/tensorFlow2/en/1")
    assert pair.modality == "text"
    assert np.isfinite(pair.network.weights[0].numpy()).all()


def test_kaggles_markers_are_read_with_its_names():
    """The cache is found without kagglehub, so its layout is written down twice."""
    from kagglehub import cache as theirs
    from kagglehub.handle import parse_model_handle

    ours = load._folder(parse(f"{MODEL}/3"))
    assert str(ours) == theirs.get_cached_path(parse_model_handle(f"{MODEL}/3"))
