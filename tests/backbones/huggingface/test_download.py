"""Repositories from a server on loopback that speaks as the Hugging Face Hub does, well or badly."""

import contextlib
import hashlib
import http.server
import json
import threading

import pytest
from text_checkpoints import add_sentence_modules, make_text_checkpoint

import tfautolabel as tal
from tfautolabel.backbones.huggingface.download import find_folder

NAME = "somebody/tiny-bert"
COMMIT = "5" * 40


class _Hub(http.server.BaseHTTPRequestHandler):
    """One repository; `server.mode` says how its requests are answered."""

    def do_GET(self):
        path = self.path.partition("?")[0]
        files, mode = self.server.files, self.server.mode
        self.server.requests.append(path)
        if mode in ("GatedRepo", "RepoNotFound", "RevisionNotFound"):
            return self._answer(b"", {"GatedRepo": 403}.get(mode, 404), {"X-Error-Code": mode})
        if mode == "unknown":
            return self._answer(b"Invalid username or password.", 401)
        if path.startswith(f"/api/models/{NAME}/tree/"):
            listed = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self._answer(json.dumps(listed).encode())
        if path.startswith(f"/api/models/{NAME}"):
            siblings = [{"rfilename": name} for name in files]
            return self._answer(json.dumps({"id": NAME, "sha": COMMIT, "siblings": siblings}).encode())
        name = path.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
        if name not in files:
            return self._answer(b"", 404, {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self._answer(files[name], headers=headers, cut=mode == "cut" and name.endswith("tensors"))

    do_HEAD = do_GET

    def _answer(self, body, status=200, headers=None, cut=False):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(folder):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Hub) as server:
        server.daemon_threads = True
        paths = [path for path in folder.rglob("*") if path.is_file()]
        server.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        server.mode, server.requests = "well", []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = make_text_checkpoint(tmp_path_factory.mktemp("repository"), "bert")
    add_sentence_modules(folder)
    (folder / "training_args.bin").write_bytes(b"not wanted")
    (folder / "README.md").write_text("not wanted")
    return folder


@pytest.fixture
def hub(checkpoint, tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE", raising=False)
    with serving(checkpoint) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield server


def test_a_repository_is_the_backbone_of_its_folder(hub, checkpoint, monkeypatch):
    fetched = tal.load_backbone(f"hf:{NAME}")
    assert fetched.handle == f"hf:{NAME}"
    assert fetched.fingerprint == tal.load_backbone(f"hf:{checkpoint}").fingerprint
    names = {path.rpartition("/")[2] for path in hub.requests}
    assert {"config.json", "model.safetensors", "tokenizer.json", "modules.json"} <= names
    assert not names & {"training_args.bin", "README.md"}
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    hub.requests.clear()
    assert tal.load_backbone(f"hf:{NAME}").fingerprint == fetched.fingerprint
    assert hub.requests == []


def test_a_revision_is_asked_for(hub):
    find_folder(f"{NAME}@v1")
    assert hub.requests[0] == f"/api/models/{NAME}/revision/v1"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("RepoNotFound", "it is no folder, and http://127.* has no public repository of that name"),
        ("unknown", "no public repository of that name; for a private one set HF_TOKEN"),
        ("GatedRepo", "its owner gives access on request: .* set HF_TOKEN"),
        ("RevisionNotFound", "it has no such revision"),
    ],
)
def test_what_the_server_says_is_said(hub, mode, reason):
    hub.mode = mode
    with pytest.raises(RuntimeError, match=f"could not be fetched: .*{reason}.*Received: '{NAME}@v1'"):
        find_folder(f"{NAME}@v1")


def test_a_connection_that_ends_early_and_then_a_good_one(hub, monkeypatch):
    hub.mode = "cut"
    with pytest.raises(RuntimeError, match=f"the repository could not be fetched: .*Received: '{NAME}'"):
        find_folder(NAME)
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match=r"must hold its weights|not in full"):
        tal.load_backbone(f"hf:{NAME}")
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE")
    hub.mode = "well"
    assert tal.load_backbone(f"hf:{NAME}").feature_dim == 32


def test_no_network_and_nothing_cached(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1:1 does not answer as it should, and"):
        find_folder(NAME)
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match=f"{NAME} is no folder .*TFAUTOLABEL_OFFLINE forbids"):
        find_folder(NAME)


def test_pickled_weights_are_fetched_only_where_there_are_no_others(hub):
    hub.files["pytorch_model.bin"] = b"anything"
    find_folder(NAME)
    assert not any(path.endswith("pytorch_model.bin") for path in hub.requests)


def test_pickled_weights_alone(hub):
    hub.files["pytorch_model.bin"] = hub.files.pop("model.safetensors")
    assert (find_folder(NAME) / "pytorch_model.bin").is_file()
    with pytest.raises(ValueError, match=r"pytorch_model\.bin is not a PyTorch checkpoint"):
        tal.load_backbone(f"hf:{NAME}")


@pytest.mark.parametrize("reference", ["a/b/c", "./nowhere", "a//b", "/no/such/folder"])
def test_what_is_neither_folder_nor_repository(reference):
    with pytest.raises(ValueError, match="a folder that is there, or by a repository as OWNER/NAME"):
        find_folder(reference)


def test_a_name_that_no_repository_can_have(hub):
    with pytest.raises(ValueError, match="a repository is named OWNER/NAME or"):
        find_folder("some body/…")
