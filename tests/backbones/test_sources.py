import http.server
import io
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from hub_modules import make_image_module
from pictures import PICTURES

from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.backbone import run_network
from tfautolabel.backbones.packaged import PACKAGED
from tfautolabel.backbones.preprocessors.wave import wav_bytes


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves modules as tfhub.dev did: a compressed archive where `?tf-hub-format=compressed` asks for it."""

    def __init__(self, archives, *args):
        self.archives = archives
        super().__init__(*args)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        body = self.archives.get(path) if "tf-hub-format=compressed" in query else None
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory):
    return make_image_module(tmp_path_factory.mktemp("modules") / "image_module")


@pytest.fixture
def hub(module_folder, tmp_path, monkeypatch):
    """The address of a hub on loopback, and an empty cache for it."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub_cache"))
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE", raising=False)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(module_folder, ".")
    archives = {"/google/tiny/1": packed.getvalue()}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, archives)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


SOURCES = [
    "folder",
    "hub-folder",
    "hub-url",
    "keras:MobileNetV3Small:random",
    *(pytest.param(f"packaged:{name}", marks=pytest.mark.packaged) for name in PACKAGED),
]


EXAMPLES = {
    "image": [PICTURES[kind]() for kind in ("jpeg", "png-rgba", "webp")],
    "text": [b"A good day.", "这家餐馆的服务很好".encode(), b"The parcel came late, and the box was torn."],
    "audio": [wav_bytes(tones(seconds)[:, 0], 16_000) for seconds in (0.7, 1.1, 2.0)],
}
"""Three of each modality."""


@pytest.fixture(params=SOURCES)
def handle(request):
    if request.param == "folder":
        return str(request.getfixturevalue("module_folder"))
    if request.param == "hub-folder":
        return f"hub:{request.getfixturevalue('module_folder')}"
    if request.param == "hub-url":
        return f"hub:{request.getfixturevalue('hub')}/google/tiny/1"
    return request.param


def test_contract(handle, tmp_path):
    backbone = load_backbone(handle)
    ready = backbone.preprocessor(tf.constant(EXAMPLES[backbone.modality]))
    inputs = list(ready.inputs)
    assert ready.readable.numpy().all()
    features = run_network(backbone.network, inputs).numpy()
    assert features.shape == (3, backbone.feature_dim)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    scale = np.abs(features).max()
    assert np.abs(features - features[:1])[1:].max() > 1e-3 * scale, "different pictures, different features"

    np.testing.assert_array_equal(run_network(backbone.network, inputs), features)
    for row in range(3):
        alone = run_network(backbone.network, [value[row : row + 1] for value in inputs])
        np.testing.assert_allclose(alone[0], features[row], atol=1e-4 * scale)

    assert backbone.network.trainable_weights == []
    assert backbone.handle.endswith(handle)
    again = load_backbone(handle)
    assert again.fingerprint == backbone.fingerprint
    weight = again.network.weights[0]
    weight.assign(weight.numpy() + 1)
    assert again.fingerprint != backbone.fingerprint

    backbone.save(tmp_path / "saved")
    saved = Backbone.load(tmp_path / "saved")
    assert (saved.handle, saved.fingerprint) == (backbone.handle, backbone.fingerprint)
    np.testing.assert_allclose(run_network(saved.network, inputs), features, atol=1e-6 * scale)


def test_url_and_folder_give_the_same_backbone(hub, module_folder):
    assert (
        load_backbone(f"hub:{hub}/google/tiny/1").fingerprint == load_backbone(str(module_folder)).fingerprint
    )


def test_moved_module_keeps_its_fingerprint(module_folder, tmp_path):
    import shutil

    moved = shutil.copytree(module_folder, tmp_path / "moved")
    assert load_backbone(str(moved)).fingerprint == load_backbone(str(module_folder)).fingerprint


def test_home_folder_is_understood(module_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(module_folder.parent))
    assert load_backbone("~/image_module").feature_dim == 16
    assert load_backbone("hub:~/image_module").feature_dim == 16


def test_cached_module_is_found_offline(hub, monkeypatch):
    handle = f"hub:{hub}/google/tiny/1"
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match=r"not in tensorflow_hub's cache and TFAUTOLABEL_OFFLINE"):
        load_backbone(handle)
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE")
    load_backbone(handle)
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    assert load_backbone(handle).feature_dim == 16


def test_url_without_a_module(hub):
    with pytest.raises(
        RuntimeError, match=r"tensorflow_hub could not resolve.*404.*Received: 'http.*nothing/1'"
    ):
        load_backbone(f"hub:{hub}/google/nothing/1")


def test_host_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    with pytest.raises(RuntimeError, match="tensorflow_hub could not resolve"):
        load_backbone("hub:http://127.0.0.1:1/module/1")


@pytest.mark.parametrize(
    ("handle", "error", "message"),
    [
        (
            "torch:resnet",
            ValueError,
            r"packaged:, keras:, hub: or the path of a folder\. Received: 'torch:resnet'",
        ),
        ("nowhere/at/all", ValueError, "Received: 'nowhere/at/all', which has none of these prefixes"),
        ("efficientnet-lite0", ValueError, r"did you mean packaged:efficientnet-lite0\?"),
        ("", ValueError, "Received: ''"),
        ("packaged:", ValueError, r"packaged: must be followed by a name\. Received: 'packaged:'"),
        ("packaged:lenet", ValueError, r"one of \['e5-small', 'efficientnet-lite0'.*Received: 'lenet'"),
        ("keras:LeNet", ValueError, "Received: 'LeNet'"),
        (
            "hub:nowhere/at/all",
            FileNotFoundError,
            r"a URL or the folder of a SavedModel\. Received: 'nowhere/at/all'",
        ),
    ],
)
def test_misses(handle, error, message):
    with pytest.raises(error, match=message):
        load_backbone(handle)


def save(folder, function, spec):
    module = tf.Module()
    module.__call__ = tf.function(function, input_signature=[spec])
    tf.saved_model.save(module, str(folder))
    return str(folder)


def test_folder_that_is_no_module(tmp_path):
    (tmp_path / "picture.jpg").touch()
    with pytest.raises(ValueError, match=r"holds saved_model\.pb.*picture\.jpg"):
        load_backbone(str(tmp_path))


@pytest.mark.parametrize(
    "spec",
    [
        tf.TensorSpec([None, 3], tf.string),
        tf.TensorSpec([None, 32, 64, 3], tf.float32),
        tf.TensorSpec([None, 32, 32, 1], tf.float32),
        tf.TensorSpec([None, 32, 32, 3], tf.uint8),
        tf.TensorSpec(None, tf.float32),
    ],
)
def test_modules_that_take_no_pictures(tmp_path, spec):
    folder = save(tmp_path / "module", lambda x: tf.zeros([tf.shape(x)[0], 4]), spec)
    with pytest.raises(ValueError, match=r"a module takes pictures, .*Received: '/.*which takes [(<]"):
        load_backbone(folder)


def test_module_of_any_size(tmp_path):
    spec = tf.TensorSpec([None, None, None, 3], tf.float32)
    backbone = load_backbone(save(tmp_path / "module", lambda x: tf.reduce_mean(x, [1, 2]), spec))
    assert (backbone.preprocessor.size, backbone.feature_dim) == (224, 3)


def test_module_that_gives_no_vector(tmp_path):
    spec = tf.TensorSpec([None, 32, 32, 3], tf.float32)
    with pytest.raises(ValueError, match="one vector of known length"):
        load_backbone(save(tmp_path / "module", lambda x: x * 2, spec))
