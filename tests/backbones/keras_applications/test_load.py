import keras
import numpy as np
import pytest

from tfautolabel.backbones.keras_applications import load as module
from tfautolabel.backbones.keras_applications.load import APPLICATIONS, load_keras_application


@pytest.mark.parametrize("name", APPLICATIONS)
def test_table_names_what_keras_has(name):
    import importlib

    module_name, size = APPLICATIONS[name]
    assert callable(getattr(keras.applications, name))
    assert callable(importlib.import_module(f"keras.applications.{module_name}").preprocess_input)
    assert 200 < size < 400


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "VGG16"])
def test_preprocessing_belongs_to_the_network(name):
    """Pixels go in as they are; what the published weights expect is done inside."""
    backbone = load_keras_application(f"{name}:random")
    size = backbone.preprocessor.size
    pixels = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    build = getattr(keras.applications, name)
    plain = build(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
    plain.set_weights([weight.numpy() for weight in backbone.network.weights])
    prepare = __import__(f"keras.applications.{APPLICATIONS[name][0]}", fromlist=["x"]).preprocess_input
    expected = plain(prepare(pixels.copy()), training=False)
    np.testing.assert_allclose(backbone.network(pixels), expected, atol=1e-4 * float(np.max(expected)))


def test_random_weights_are_the_same_each_time_and_touch_no_global_seed():
    keras.utils.set_random_seed(1)
    before = np.random.get_state()[1].copy()
    first = load_keras_application("MobileNetV3Small:random")
    keras.utils.set_random_seed(1)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    keras.utils.set_random_seed(2)
    assert load_keras_application("MobileNetV3Small:random").fingerprint == first.fingerprint


def test_random_features_tell_pictures_apart():
    backbone = load_keras_application("MobileNetV2:random")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 224, 224, 3)).astype(np.float32)
    features = backbone.network(pixels * np.array([1, 0.5, 0.1])[:, None, None, None]).numpy()
    assert np.isfinite(features).all()
    assert np.ptp(features, axis=0).max() > 1e-3


def test_weights_file(tmp_path):
    file = tmp_path / "mobilenet.weights.h5"
    source = load_keras_application("MobileNetV2:random")
    source.network.save_weights(file)
    backbone = load_keras_application(f"MobileNetV2:{file}")
    assert backbone.handle == f"keras:MobileNetV2:{file}"
    assert backbone.fingerprint == source.fingerprint
    assert backbone.network.trainable_weights == []


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
def test_weights_file_that_keras_wrote(tmp_path, ending, monkeypatch):
    """Of the plain network, without this package's preprocessing."""
    plain = keras.applications.MobileNetV3Small(weights=None, include_top=False, pooling="avg")
    module._draw_weights(plain)
    monkeypatch.setenv("HOME", str(tmp_path))
    (plain.save_weights if ending == ".weights.h5" else plain.save)(tmp_path / f"plain{ending}")
    found = load_keras_application(f"MobileNetV3Small:~/plain{ending}").network.get_weights()
    for ours, theirs in zip(found, plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("content", ["another network", "garbage"])
def test_weights_that_do_not_fit(tmp_path, content):
    file = tmp_path / "other.weights.h5"
    if content == "garbage":
        file.write_bytes(b"garbage" * 99)
    else:
        load_keras_application("MobileNetV3Small:random").network.save_weights(file)
    with pytest.raises(
        ValueError, match=r"must fit MobileNetV2 without its classifier.*Received: '/"
    ) as caught:
        load_keras_application(f"MobileNetV2:{file}")
    assert "\n" not in str(caught.value)


def test_misses(tmp_path):
    with pytest.raises(ValueError, match=r"one of ConvNeXtTiny.*Received: 'LeNet'.*second colon"):
        load_keras_application("LeNet")
    with pytest.raises(FileNotFoundError, match=r"imagenet, random or a file\. Received: 'nowhere.h5'"):
        load_keras_application("MobileNetV2:nowhere.h5")


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(
        RuntimeError, match=r"keras:MobileNetV2 needs its ImageNet weights.*TFAUTOLABEL_OFFLINE"
    ):
        load_keras_application("MobileNetV2")
    assert load_keras_application("MobileNetV3Small:random").feature_dim == 576


# The names under which Keras stores them.
FILES = {
    "MobileNet": "mobilenet_1_0_224_tf_no_top.h5",
    "MobileNetV2": "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    "MobileNetV3Small": "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
    "ResNet50": "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "ResNet50V2": "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "EfficientNetB0": "efficientnetb0_notop.h5",
    "EfficientNetV2B0": "efficientnetv2-b0_notop.h5",
    "ConvNeXtTiny": "convnext_tiny_notop.h5",
    "InceptionV3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "NASNetMobile": "nasnet_mobile_no_top.h5",
}


@pytest.mark.parametrize("name", FILES)
def test_downloaded_weights_are_recognised(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    for other, file in FILES.items():
        if other != name:
            (tmp_path / "models" / file).touch()
    (tmp_path / "models" / FILES[name].replace("_no_top", "").replace("_notop", "")).touch()
    assert not module._downloaded(name)
    (tmp_path / "models" / FILES[name]).touch()
    assert module._downloaded(name)


def test_failed_download(monkeypatch):
    def fail(**_):
        raise Exception("URL fetch failure on https://storage: 503")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(
        RuntimeError, match=r"could not download them \(URL fetch failure.*keras:MobileNetV2:FILE"
    ):
        load_keras_application("MobileNetV2")


def test_errors_that_are_no_download_pass_through(monkeypatch):
    def fail(**_):
        raise ValueError("shapes")

    monkeypatch.setattr(keras.applications, "MobileNetV2", fail)
    with pytest.raises(ValueError, match=r"^shapes$"):
        load_keras_application("MobileNetV2")
    assert module.APPLICATIONS["MobileNetV2"] == ("mobilenet_v2", 224)
