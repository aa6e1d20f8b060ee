import json
import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.backbones.backbone import Backbone, saved_model_network
from tfautolabel.backbones.networks.pooling import UnitLength
from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.pictures.image import LIKE


def keras_backbone(seed=0, **options):
    pixels = keras.Input((24, 24, 3))
    kernel = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Conv2D(4, 3, kernel_initializer=kernel)(pixels)
    x = keras.layers.BatchNormalization()(x)
    network = keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x))
    return Backbone("mine", ImagePreprocessor(24, **options), network, "tiny")


@pytest.fixture(params=["keras", "module"])
def backbone(request, image_module):
    if request.param == "keras":
        return keras_backbone(max_pixels=5000)
    return Backbone("hub:x", ImagePreprocessor(32, 5000), saved_model_network(image_module, 32), "module")


def pixels_for(backbone):
    size = backbone.preprocessor.size
    return np.random.default_rng(0).uniform(0, 255, (3, size, size, 3)).astype(np.float32)


def test_says_what_it_is():
    backbone = keras_backbone()
    assert (backbone.modality, backbone.feature_dim) == ("image", 4)
    assert repr(backbone) == "Backbone('mine', image, 4 features)"


@pytest.mark.parametrize("output", [lambda x: x, lambda x: keras.ops.mean(x, axis=(1, 2, 3))])
def test_network_must_give_vectors(output):
    pixels = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"one vector of known length.*Received: mine with output shape"):
        Backbone("mine", ImagePreprocessor(8), keras.Model(pixels, output(pixels)), "x")


def test_fingerprint_follows_all_that_decides_features(monkeypatch):
    base = keras_backbone()
    assert len(base.fingerprint) == 64
    assert base.fingerprint == keras_backbone().fingerprint
    # The pixel limit decides what is read, not what a readable picture's features are.
    assert base.fingerprint == keras_backbone(max_pixels=10).fingerprint
    others = {base.fingerprint, keras_backbone(seed=1).fingerprint}
    others.add(Backbone("mine", base.preprocessor, base.network, "other").fingerprint)
    others.add(Backbone("mine", ImagePreprocessor(25), base.network, "tiny").fingerprint)
    monkeypatch.setattr("tfautolabel.preprocessors.pictures.image.VERSION", -1)
    others.add(base.fingerprint)
    assert len(others) == 5


@pytest.mark.parametrize("index", [0, 1, 2, -1])
def test_fingerprint_follows_every_weight(backbone, index):
    before = backbone.fingerprint
    weight = backbone.network.weights[index]
    original = weight.numpy()
    changed = original.copy()
    changed.flat[-1] += 1e-3
    weight.assign(changed)
    assert backbone.fingerprint != before
    weight.assign(original)
    assert backbone.fingerprint == before


def test_save_and_load(backbone, tmp_path, image_module):
    for weight in backbone.network.weights:
        weight.assign(weight.numpy() * 1.1 + 0.01)  # as if it had been fine-tuned
    expected = backbone.network(pixels_for(backbone), training=False).numpy()
    backbone.save(tmp_path / "a")
    backbone.save(tmp_path / "a")  # over an older one
    shutil.rmtree(image_module)
    (tmp_path / "a").rename(tmp_path / "moved")
    again = Backbone.load(tmp_path / "moved")
    np.testing.assert_array_equal(again.network(pixels_for(backbone), training=False), expected)
    assert again.fingerprint == backbone.fingerprint
    assert (again.handle, again.feature_dim) == (backbone.handle, backbone.feature_dim)
    assert (again.preprocessor.size, again.preprocessor.max_pixels) == (backbone.preprocessor.size, 5000)
    assert again.network.trainable_weights == []
    again.save(tmp_path / "b")
    assert Backbone.load(tmp_path / "b").fingerprint == backbone.fingerprint


def test_an_error_in_the_middle_leaves_the_backbone_that_was_saved(tmp_path, monkeypatch):
    keras_backbone().save(tmp_path / "saved")
    other = keras_backbone(seed=1)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(other.preprocessor, "save_assets", full)
    with pytest.raises(OSError, match="saved cannot be written: no space left on device"):
        other.save(tmp_path / "saved")
    assert Backbone.load(tmp_path / "saved").fingerprint == keras_backbone().fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(FileExistsError, match=r"Received: .*, which holds photo\.jpg"):
        keras_backbone().save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_backbone_saves_itself_over_the_folder_that_it_reads_from(backbone, tmp_path):
    backbone.save(tmp_path / "saved")
    again = Backbone.load(tmp_path / "saved")
    again.save(tmp_path / "saved")
    assert Backbone.load(tmp_path / "saved").fingerprint == backbone.fingerprint


def test_loaded_weights_must_be_those_that_were_saved(tmp_path):
    keras_backbone().save(tmp_path)
    keras_backbone(seed=1).network.save(tmp_path / "backbone.keras")
    with pytest.raises(ValueError, match=r"not the ones that were saved.*Received: "):
        Backbone.load(tmp_path)


def test_a_folder_that_names_modules_as_they_were_once_is_read(tmp_path):
    pixels = keras.Input((24, 24, 3))
    network = keras.Model(pixels, UnitLength()(keras.layers.GlobalAveragePooling2D()(pixels)))
    saved = Backbone("mine", ImagePreprocessor(24), network, "tiny")
    saved.save(tmp_path)
    described = json.loads((tmp_path / "backbone.json").read_text())
    assert described["preprocessor"]["class"] == "tfautolabel>ImagePreprocessor"
    described["preprocessor"]["class"] = "tfautolabel.preprocessors.pictures.image.ImagePreprocessor"
    (tmp_path / "backbone.json").write_text(json.dumps(described))
    # In the network's own file Keras notes the module too.
    with zipfile.ZipFile(tmp_path / "backbone.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    home = UnitLength.__module__.encode()
    assert home in parts["config.json"]
    parts["config.json"] = parts["config.json"].replace(home, b"tfautolabel.where_it_was_once")
    with zipfile.ZipFile(tmp_path / "backbone.keras", "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert Backbone.load(tmp_path).fingerprint == saved.fingerprint


def test_examples_must_be_read_as_when_it_was_saved(tmp_path, monkeypatch):
    keras_backbone().save(tmp_path)
    monkeypatch.setattr("tfautolabel.preprocessors.pictures.image.VERSION", -1)
    with pytest.raises(ValueError, match=r"reads image data in another way: make it again.*'version': -1"):
        Backbone.load(tmp_path)


def test_what_an_earlier_version_read_but_for_rounding_goes_on(tmp_path, monkeypatch):
    saved = keras_backbone()
    with monkeypatch.context() as earlier:
        earlier.setattr("tfautolabel.preprocessors.pictures.image.VERSION", LIKE[0])
        saved.save(tmp_path)
        before = saved.fingerprint
    again = Backbone.load(tmp_path)
    assert before != again.fingerprint == saved.fingerprint


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a file backbone\.json\. Received: .*nowhere"):
        Backbone.load(tmp_path / "nowhere")


def test_output_key_survives(tmp_path):
    module = tf.Module()
    module.kernel = tf.Variable(tf.ones([3, 5]))
    spec = tf.TensorSpec([None, 8, 8, 3], tf.float32)
    module.run = tf.function(
        lambda x: {"a": tf.reduce_mean(x, [1, 2]) @ module.kernel, "b": tf.reduce_max(x, [1, 2])}, [spec]
    )
    tf.saved_model.save(module, str(tmp_path / "module"), signatures={"serving_default": module.run})
    network = saved_model_network(tmp_path / "module", 8, "b")
    backbone = Backbone("x", ImagePreprocessor(8), network, "x")
    backbone.save(tmp_path / "saved")
    again = Backbone.load(tmp_path / "saved")
    np.testing.assert_array_equal(again.network(pixels_for(again)), network(pixels_for(again)))


def test_saved_model_sees_pixels_between_zero_and_one(image_module):
    network = saved_model_network(image_module, 32)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)
    module = tf.saved_model.load(str(image_module))
    np.testing.assert_allclose(network(pixels), module(pixels / 255, training=False), atol=1e-5)
