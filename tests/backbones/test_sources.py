import gc

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from hub_modules import make_image_module
from hub_server import Answer, packed, serve, stand_in_for_kaggle
from kerashub_presets import make_preset
from picture_and_sound_checkpoints import write_checkpoint
from pictures import PICTURES
from text_checkpoints import CONFIGS as TEXT_CHECKPOINTS
from text_checkpoints import make_text_checkpoint

from tfautolabel.backbones import Backbone, load_backbone, sources
from tfautolabel.backbones.backbone import run_network
from tfautolabel.backbones.packaged import PACKAGED
from tfautolabel.backbones.plain import PLAIN
from tfautolabel.export.labeling_module import LabelingModule
from tfautolabel.heads import build_head
from tfautolabel.preprocessors import ImagePreprocessor, WindowMean
from tfautolabel.preprocessors.sounds.wave import wav_bytes
from tfautolabel.trust.acceptance import Acceptance


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory):
    return make_image_module(tmp_path_factory.mktemp("modules") / "image_module")


@pytest.fixture
def hub(module_folder, tmp_path, monkeypatch):
    """The address of a hub and of Kaggle on loopback, and empty caches for both."""
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub_cache"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle_cache"))
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE", raising=False)
    archive = Answer(packed(module_folder))
    answers = {"/google/tiny/1": archive, KAGGLE_DOWNLOAD: archive}
    pytest.importorskip("kagglehub")
    with serve(answers) as server:
        stand_in_for_kaggle(monkeypatch, server.url)
        yield server.url


KAGGLE_DOWNLOAD = "/api/v1/models.ModelApiService/DownloadModelInstanceVersion"

LARGER = ("e5-small", "efficientnet-lite2")
"""Packaged backbones that are made like smaller ones here; what they give is tested beside them."""

CHECKPOINTS = ("vit", "deit", "dinov2", "wav2vec2", "wav2vec2-stable", "hubert", "whisper")

SOURCES = [
    "folder",
    "hub-folder",
    "hub-url",
    "kaggle",
    "kerashub-resnet",
    "kerashub-vit",
    "kerashub-bert",
    "kerashub-xlm-roberta",
    "kerashub-whisper",
    *(f"checkpoint-{name}" for name in CHECKPOINTS),
    *(f"texts-{kind}" for kind in TEXT_CHECKPOINTS),
    "torch-residual",
    "torch-transformer",
    "keras:MobileNetV3Small:random",
    *(f"plain:{name}" for name in PLAIN),
    *(
        pytest.param(f"packaged:{name}", marks=pytest.mark.packaged)
        for name in PACKAGED
        if name not in LARGER
    ),
]


ALIKE = {
    *("folder", "hub-url", "kaggle", "kerashub-vit"),
    *("checkpoint-deit", "checkpoint-hubert", "checkpoint-wav2vec2-stable"),
    *(f"texts-{kind}" for kind in TEXT_CHECKPOINTS if kind not in ("bert", "roberta", "xlm-roberta")),
    *("packaged:efficientnet-lite0", "packaged:minilm-l6", "packaged:speech-embedding"),
}
"""Sources whose networks and preprocessors are made like those of others, or which the README exports."""

AGREEING = [
    source for source in SOURCES if (source if isinstance(source, str) else source.values[0]) not in ALIKE
]
"""One of each kind of network and preprocessor."""

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
    if request.param == "kaggle":
        request.getfixturevalue("hub")
        return "kaggle:google/tiny/tensorFlow2/small/1"
    if request.param.startswith("kerashub-"):
        kind = request.param.removeprefix("kerashub-")
        return f"kerashub:{make_preset(kind, request.getfixturevalue('tmp_path') / kind)}"
    if request.param.startswith("texts-"):
        kind = request.param.removeprefix("texts-")
        return f"hf:{make_text_checkpoint(request.getfixturevalue('tmp_path') / kind, kind)}"
    if request.param.startswith("torch-"):
        pytest.importorskip("torch")
        cache = request.getfixturevalue("tmp_path") / "cache"
        request.getfixturevalue("monkeypatch").setenv("TFAUTOLABEL_CACHE", str(cache))
        return f"torch:torch_networks.{request.param.removeprefix('torch-').capitalize()}"
    if request.param.startswith("checkpoint-"):
        name = request.param.removeprefix("checkpoint-")
        return f"hf:{write_checkpoint(request.getfixturevalue('tmp_path') / name, name)}"
    return request.param


def let_go_of(backbone):
    """Frees what is deleted before more is made: TensorFlow's allocator keeps the most that it ever held."""
    if backbone.network.count_params() > 30_000_000:
        gc.collect()


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
    for weight in again.network.weights[:1]:  # features without transfer have none
        weight.assign(weight.numpy() + 1)
        assert again.fingerprint != backbone.fingerprint
        del weight
    del again
    let_go_of(backbone)

    backbone.save(tmp_path / "saved")
    saved = Backbone.load(tmp_path / "saved")
    assert (saved.handle, saved.fingerprint) == (backbone.handle, backbone.fingerprint)
    np.testing.assert_allclose(run_network(saved.network, inputs), features, atol=1e-6 * scale)


def load_toy(name, scale=1.0):
    """Step 1 of the recipe in CONTRIBUTING.md: sums over the ninths of a picture."""
    if name != "ninths":
        raise ValueError(f"a toy must be ninths. Received: {name!r}")
    pixels = keras.Input((24, 24, 3))
    means = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(pixels))
    weights = keras.initializers.RandomUniform(0, scale / 255, seed=0)
    vectors = keras.layers.Dense(9, use_bias=False, kernel_initializer=weights)(means)
    network = keras.Model(pixels, vectors, name="toy")
    network.trainable = False
    return Backbone(f"toy:{name}", ImagePreprocessor(24), network, "toy:1")


def test_a_source_is_added_as_contributing_says(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="begins with none of these prefixes"):
        load_backbone("toy:ninths")
    monkeypatch.setitem(sources.SOURCES, "toy", sources.Source("NAME", load_toy, ("scale",)))
    test_contract("toy:ninths", tmp_path)
    test_training_graph_and_export_agree("toy:ninths", tmp_path)
    assert load_backbone("toy:ninths", scale=2.0).fingerprint != load_backbone("toy:ninths").fingerprint
    for handle, message in (
        ("toys:ninths", r"toy:NAME .*did you mean toy:ninths\?"),
        ("toy:tenths", "a toy must be ninths. Received: 'tenths'"),
        ("toy:", "toy: must be followed by a name"),
    ):
        with pytest.raises(ValueError, match=message):
            load_backbone(handle)
    with pytest.raises(ValueError, match=r"toy: backbones have the options scale\. Received: \['size'\]"):
        load_backbone("toy:ninths", size=9)


@pytest.mark.parametrize("handle", AGREEING, indirect=True)
def test_training_graph_and_export_agree(handle, tmp_path):
    """From strings to features: in a Keras model as `build_model` makes it, and in an exported SavedModel."""
    backbone = load_backbone(handle)
    examples = keras.Input((), dtype="string")
    ready = backbone.preprocessor(examples)
    vectors = WindowMean()(run_network(backbone.network, ready.inputs), ready.example)
    model = keras.Model(examples, vectors)
    given = tf.constant(EXAMPLES[backbone.modality])
    trained_on = tf.function(model)(given, training=False).numpy()
    del model, vectors, ready, examples
    let_go_of(backbone)

    head, rule = build_head("linear", backbone.feature_dim, 2, 0), Acceptance.by_confidence(0.5, 2)
    module = LabelingModule(backbone, head, ["a", "b"], rule)
    tf.saved_model.save(module, str(tmp_path / "export"), signatures=module.functions_by_signature())
    del module, head
    let_go_of(backbone)
    served = tf.saved_model.load(str(tmp_path / "export")).signatures["features"](examples=given)
    assert served["readable"].numpy().all()
    scale = np.abs(trained_on).max()
    np.testing.assert_allclose(served["features"], trained_on, atol=2e-4 * scale)


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
        RuntimeError, match=r"the module could not be fetched: .*404.*Received: 'http.*nothing/1'"
    ):
        load_backbone(f"hub:{hub}/google/nothing/1")


def test_host_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    with pytest.raises(RuntimeError, match="the module could not be fetched: there is no connection"):
        load_backbone("hub:http://127.0.0.1:1/module/1")


@pytest.mark.parametrize(
    ("handle", "error", "message"),
    [
        (
            "nonsense",
            ValueError,
            r"packaged:NAME, .*keras:NAME, .*hub:URL, .*kaggle:OWNER/MODEL/FRAMEWORK/VARIATION, .*kerashub:"
            r"PRESET.* or the path of a SavedModel's folder\. Received: 'nonsense', .* no folder$",
        ),
        ("kera:ResNet50", ValueError, r"did you mean keras:ResNet50\?"),
        ("ResNet50", ValueError, r"did you mean keras:ResNet50\?"),
        ("minilm-16", ValueError, r"did you mean packaged:minilm-l6\?"),
        ("https://example.com/module/1", ValueError, r"did you mean hub:https://example\.com/module/1\?"),
        ("https://tfhub.dev/google/yamnet/1", ValueError, r"mean kaggle:google/yamnet/tensorFlow2/yamnet\?"),
        ("google/yamnet/TensorFlow2/yamnet/1", ValueError, r"kaggle:google/yamnet/TensorFlow2/yamnet/1\?"),
        ("nowhere/at/all", ValueError, "Received: 'nowhere/at/all', which begins with none of these"),
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
