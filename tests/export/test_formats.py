"""Converted networks: run in LiteRT and ONNX Runtime, and held against the SavedModel."""

import hashlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from separable import CLASSES, NAMES, picture
from small_networks import convolutional

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.export import conversion, export_onnx, export_saved_model, export_tflite
from tfautolabel.export.numeric import NumericModel, fitting, padded
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor
from tfautolabel.preprocessors.texts.wordpiece import SPECIAL, WordPiecePreprocessor
from tfautolabel.trust.acceptance import Acceptance

onnxruntime = pytest.importorskip("onnxruntime")
Interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter


def write(folder, backbone, classes, head=None):
    """An exported model, with a head from a seed if none is given."""
    if head is None:
        vectors = keras.Input((backbone.feature_dim,))
        kernel = keras.initializers.RandomNormal(stddev=3.0, seed=1)
        head = keras.layers.Dense(len(classes), "softmax", kernel_initializer=kernel)
        head = keras.Model(vectors, head(vectors))

    def predict(encoded):
        ready = backbone.preprocessor(tf.constant(encoded))
        inputs = list(ready.inputs)
        vectors = backbone.network(inputs if len(inputs) > 1 else inputs[0], training=False)
        vectors = tf.math.segment_mean(vectors, ready.example)
        return np.where(ready.readable[:, None], head(vectors), 0.0).astype(np.float32)

    acceptance = Acceptance.by_confidence(0.5, len(classes))
    return export_saved_model(folder / "1", backbone, head, classes, acceptance, None, predict)


def text_backbone():
    """Embeddings, an exact GELU (which ONNX has no operation for) and the mean over what is no padding."""
    words = [*SPECIAL, "good", "bad", "food", "train", "the", "was", "."]
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    there = keras.ops.cast(tokens >= 0, "float32")[..., None]
    initializer = keras.initializers.RandomNormal(seed=0)
    x = keras.layers.Embedding(len(words), 8, embeddings_initializer=initializer)(
        keras.ops.maximum(tokens, 0)
    )
    kernel = keras.initializers.GlorotUniform(0)
    x = keras.layers.Dense(8, keras.activations.gelu, kernel_initializer=kernel)(x)
    pooled = keras.ops.sum(x * there, axis=1) / keras.ops.sum(there, axis=1)
    return Backbone(
        "test:text", WordPiecePreprocessor(words, max_length=12), keras.Model(tokens, pooled), "text"
    )


def sound_backbone():
    samples = keras.Input((None,), name="samples")
    lengths = keras.Input((), dtype="int32", name="lengths")
    kernel = keras.initializers.GlorotUniform(0)
    x = keras.layers.Conv1D(4, 16, strides=8, activation="relu", kernel_initializer=kernel)(
        samples[..., None]
    )
    x = keras.ops.sum(x, axis=1) / keras.ops.cast(lengths, "float32")[:, None]
    preprocessor = WavePreprocessor(sample_rate=8000, window_seconds=0.5, min_samples=64)
    return Backbone("test:sound", preprocessor, keras.Model([samples, lengths], x), "sound")


@pytest.fixture(scope="module")
def pictures_model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("pictures"), convolutional(), NAMES)


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("text"), text_backbone(), ["a", "b"])


@pytest.fixture(scope="module")
def sound_model(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sound"), sound_backbone(), ["a", "b"])


def pictures(count=12):
    encoded = [picture(name, number) for number in range(count // 3) for name in CLASSES]
    return encoded, Dataset.from_inputs(encoded, NAMES * (count // 3))


def served(model, encoded):
    loaded = tf.saved_model.load(str(model))
    return loaded.signatures["serving_default"](examples=tf.constant(encoded))["probabilities"].numpy()


def test_tflite_gives_what_the_saved_model_serves(pictures_model, tmp_path):
    encoded, dataset = pictures()
    done = export_tflite(pictures_model, tmp_path / "new" / "m.tflite", dataset, progress=False)
    run = Interpreter(model_path=str(done.file)).get_signature_runner()
    pixels = NumericModel(pictures_model).prepare(encoded).inputs[0]
    found = np.concatenate([run(pixels=row[None])["probabilities"] for row in pixels])
    np.testing.assert_allclose(found, served(pictures_model, encoded), atol=1e-5)
    assert done.parity.agreement == 1.0
    assert done.parity.windows == 12
    assert not done.parity.recorded
    assert done.parity.accuracy == done.parity.saved_model_accuracy
    assert done.megabytes == done.file.stat().st_size / 1e6
    described = json.loads(done.description.read_text(encoding="utf-8"))
    assert described["sha256"] == hashlib.sha256(done.file.read_bytes()).hexdigest()


def test_onnx_takes_any_number_of_rows(pictures_model, tmp_path):
    encoded, dataset = pictures()
    done = export_onnx(pictures_model, tmp_path / "m.onnx", dataset, progress=False)
    session = onnxruntime.InferenceSession(str(done.file), providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("pixels", ["batch", 16, 16, 3])]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("probabilities", ["batch", 3])]
    pixels = NumericModel(pictures_model).prepare(encoded).inputs[0]
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    np.testing.assert_allclose(found, served(pictures_model, encoded), atol=1e-5)


def test_the_description_says_what_to_feed(pictures_model, tmp_path):
    done = export_tflite(pictures_model, tmp_path / "m.tflite", progress=False)
    described = json.loads(done.description.read_text(encoding="utf-8"))
    assert done.description.name == "m.tflite.json"
    (given,) = described["inputs"]
    assert (given["name"], given["dtype"], given["shape"]) == ("pixels", "float32", [1, 16, 16, 3])
    assert given["range"] == [0, 255]
    assert described["classes"] == list(NAMES)
    assert described["acceptance"]["thresholds"] == [0.5] * 3
    assert described["preprocessor"]["size"] == 16
    assert described["parity"]["recorded"] is True
    assert described["parity"]["windows"] == 5  # one of the six that are recorded cannot be read
    assert described["weights"] == "float32"


def test_int8_is_smaller_and_measured_on_examples_that_gave_no_ranges(pictures_model, tmp_path):
    _, dataset = pictures(60)
    done = export_tflite(pictures_model, tmp_path / "m.tflite", dataset, int8=True, progress=False)
    assert done.weights == "int8"
    assert done.parity.windows == 30
    assert done.parity.agreement >= 0.98
    assert done.parity.max_difference > 0
    interpreter = Interpreter(model_path=str(done.file))
    kinds = {tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    assert np.int8 in kinds
    assert interpreter.get_input_details()[0]["dtype"] == np.float32
    assert interpreter.get_output_details()[0]["dtype"] == np.float32


def test_int8_falls_back_to_weights_where_activations_suffer(pictures_model, tmp_path, monkeypatch):
    _, dataset = pictures(24)
    true = conversion.compare
    seen = []

    def spoilt(*arguments, **options):
        seen.append(true(*arguments, **options))
        return seen[-1] if len(seen) > 1 else conversion.FormatParity(9, False, 0, 0.5, 1.0, None, None, 1, 1)

    monkeypatch.setattr("tfautolabel.export.tflite.compare", spoilt)
    done = export_tflite(pictures_model, tmp_path / "m.tflite", dataset, int8=True, progress=False)
    assert done.weights == "int8 weights, float32 activations"
    assert done.parity == seen[1]
    assert done.parity.agreement == 1.0
    assert isinstance(json.loads(done.description.read_text(encoding="utf-8"))["logits_corrected"], bool)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_are_the_networks_own_or_logarithms(tmp_path, activation):
    backbone = convolutional()
    vectors = keras.Input((backbone.feature_dim,))
    kernel = keras.initializers.RandomNormal(stddev=3.0, seed=1)
    x = keras.layers.Dense(3, activation, kernel_initializer=kernel)(vectors)
    model = write(
        tmp_path, backbone, NAMES, keras.Model(vectors, x / keras.ops.sum(x, axis=1, keepdims=True))
    )
    numeric = NumericModel(model)
    (pixels,) = numeric.prepare(pictures()[0]).inputs
    pixels = tf.constant(pixels)
    logits = numeric.frozen(None, None, tf.identity)(pixels)["probabilities"]
    again = numeric.frozen(None, None, tf.nn.softmax)(pixels)["probabilities"]
    np.testing.assert_allclose(again, tf.nn.softmax(logits), atol=1e-6)
    np.testing.assert_allclose(again, numeric.predict([pixels]), atol=1e-6)


@pytest.mark.parametrize("write_format", [export_tflite, export_onnx])
def test_texts(text_model, tmp_path, write_format):
    texts = ["the food was good .", "bad train", "the the the train was bad . . . . . . . . good", "good"]
    dataset = Dataset.from_inputs(texts, modality="text")
    done = write_format(text_model, tmp_path / "m", dataset, progress=False)
    described = json.loads(done.description.read_text(encoding="utf-8"))
    shape = [1, 12] if write_format is export_tflite else [None, None]
    assert [(one["name"], one["shape"]) for one in described["inputs"]] == [("tokens", shape)]
    assert done.parity.agreement == 1.0
    assert done.parity.max_difference < 1e-5
    assert done.parity.windows == 4


def test_rows_are_no_longer_than_there_are_tokens(text_model, tmp_path):
    with pytest.raises(ValueError, match=r"length must be from 1 to 12.*Received: 13"):
        export_tflite(text_model, tmp_path / "m.tflite", length=13, progress=False)


def test_examples_that_cannot_be_read_are_told(pictures_model, tmp_path):
    dataset = Dataset.from_inputs([b"no picture", b"nor this"], modality="image")
    with pytest.raises(ValueError, match="2 examples, of which none can be read"):
        export_tflite(pictures_model, tmp_path / "m.tflite", dataset, progress=False)


def test_windows_that_are_too_long_are_counted(text_model, tmp_path):
    texts = ["good", "the the the train was bad ."]
    dataset = Dataset.from_inputs(texts, modality="text")
    done = export_tflite(text_model, tmp_path / "m.tflite", dataset, length=4, progress=False)
    assert (done.parity.windows, done.parity.too_long) == (1, 1)


@pytest.mark.parametrize("write_format", [export_tflite, export_onnx])
def test_sounds(sound_model, tmp_path, write_format):
    done = write_format(sound_model, tmp_path / "m", progress=False)
    described = json.loads(done.description.read_text(encoding="utf-8"))
    assert [one["name"] for one in described["inputs"]] == ["samples", "lengths"]
    assert done.parity.agreement == 1.0
    assert done.parity.max_difference < 1e-5
    assert done.parity.windows > 4  # clips of a second are two windows and more


@pytest.mark.parametrize("write_format", [export_tflite, export_onnx])
def test_too_few_equal_labels_leave_no_file(pictures_model, tmp_path, monkeypatch, write_format):
    true = NumericModel.predict
    monkeypatch.setattr(NumericModel, "predict", lambda self, inputs: 1 - true(self, inputs))
    with pytest.raises(RuntimeError, match=r"at least 99\.5%.*nothing is written"):
        write_format(pictures_model, tmp_path / "m", pictures()[1], progress=False)
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_one_sentence(pictures_model, text_model, tmp_path):
    out = tmp_path / "m.tflite"
    with pytest.raises(ValueError, match="int8 needs two real examples or more"):
        export_tflite(pictures_model, out, int8=True)
    with pytest.raises(ValueError, match=r"one size only\. Received: length=5"):
        export_tflite(pictures_model, out, length=5)
    with pytest.raises(ValueError, match=r"labels image data\. Received: text data"):
        export_onnx(pictures_model, out, Dataset.from_inputs(["a"], modality="text"))
    with pytest.raises(ValueError, match="1 examples, of which 1 windows are longer than 2"):
        export_tflite(text_model, out, Dataset.from_inputs(["good"], modality="text"), length=2)
    with pytest.raises(FileNotFoundError, match="an exported model is a folder"):
        export_tflite(tmp_path, out)
    assert list(tmp_path.iterdir()) == []


def test_rows_are_padded_with_what_no_vocabulary_has():
    tokens, lengths = np.array([[3, 4], [5, -1]], np.int32), np.array([2, 1], np.int32)
    found = padded([tokens, lengths], 4)
    assert found[0].tolist() == [[3, 4, -1, -1], [5, -1, -1, -1]]
    assert found[1].tolist() == [2, 1]
    assert fitting([tokens, lengths], 1).tolist() == [False, True]
    assert padded([tokens], None)[0] is tokens
