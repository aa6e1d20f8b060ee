"""What every network for pictures or sound from a Hugging Face checkpoint does, whatever its family."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from picture_and_sound_checkpoints import DEPTH, MODELS, write_checkpoint
from pictures import PICTURES

from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.backbone import run_network
from tfautolabel.export.labeling_module import LabelingModule
from tfautolabel.features.frozen import FrozenNetwork
from tfautolabel.heads import build_head
from tfautolabel.preprocessors.sounds.wave import wav_bytes
from tfautolabel.trust.acceptance import Acceptance

SOUND = ("wav2vec2", "hubert", "whisper")


def load(folder, name):
    """A backbone, with all of its blocks and, for sound, windows short enough to be quick."""
    options = {"layer": DEPTH, "window_seconds": 1.0} if MODELS[name][0]["model_type"] in SOUND else {}
    return load_backbone(f"hf:{write_checkpoint(folder, name)}", **options)


@pytest.fixture(params=MODELS)
def backbone(request, tmp_path):
    return load(tmp_path / "checkpoint", request.param)


def inputs_of(backbone):
    examples = {
        "image": [PICTURES[kind]() for kind in ("jpeg", "png-rgba", "webp")] + [b"no picture"],
        "audio": [wav_bytes(tones(seconds)[:, 0], 16_000) for seconds in (0.3, 0.11, 1.6)] + [b"no sound"],
    }
    return [value.numpy() for value in backbone.preprocessor(tf.constant(examples[backbone.modality])).inputs]


def test_frozen_and_saved_networks_give_the_same(backbone, tmp_path):
    inputs = inputs_of(backbone)
    features = run_network(backbone.network, inputs).numpy()
    assert np.isfinite(features).all()
    np.testing.assert_allclose(FrozenNetwork(backbone.network)(*inputs), features, atol=2e-5)
    backbone.save(tmp_path / "saved")
    again = Backbone.load(tmp_path / "saved")
    assert again.fingerprint == backbone.fingerprint
    np.testing.assert_array_equal(run_network(again.network, inputs), features)


def test_gradient_reaches_every_weight(backbone):
    network = backbone.network
    names = [layer.name for layer in network.layers if layer.name.startswith("block")]
    assert names == [f"block{index}" for index in range(DEPTH)]
    assert network.trainable_weights == []
    network.trainable = True
    inputs = inputs_of(backbone)
    with tf.GradientTape() as tape:
        features = network(inputs[0] if len(inputs) == 1 else inputs, training=True)
        loss = tf.reduce_sum(features * np.linspace(-1, 1, features.shape[1], dtype="float32"))
    weights = network.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, [w.value for w in weights]), strict=True):
        assert gradient is not None, weight.path
        assert np.isfinite(gradient).all(), weight.path
        assert np.abs(gradient).max() > 0, weight.path


def test_fine_tuning_lowers_the_loss(tmp_path):
    """Through a functional model, as a fine-tuning makes it."""
    backbone = load(tmp_path, "wav2vec2")
    backbone.network.trainable = True
    probability = keras.layers.Dense(1, activation="sigmoid")(backbone.network.output)
    model = keras.Model(backbone.network.input, probability)
    model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
    inputs, labels = [value[:3] for value in inputs_of(backbone)], np.array([0.0, 1.0, 1.0])
    before = model.evaluate(inputs, labels, verbose=0)
    model.fit(inputs, labels, epochs=5, verbose=0)
    assert model.evaluate(inputs, labels, verbose=0) < before


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_exported_models_take_waveforms(name, tmp_path):
    """They get what files of the same samples get, however long the row is that holds them."""
    backbone = load(tmp_path / "checkpoint", name)
    clips = [tones(seconds)[:, 0] for seconds in (0.3, 0.11, 1.6)]
    head, rule = build_head("linear", backbone.feature_dim, 2, 0), Acceptance.by_confidence(0.5, 2)
    module = LabelingModule(backbone, head, ["a", "b"], rule)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.functions_by_signature())
    served = tf.saved_model.load(str(tmp_path / "model")).signatures
    files = served["serving_default"](examples=tf.constant([wav_bytes(clip, 16_000) for clip in clips]))
    read = [np.round(clip * 32767) / 32768 for clip in clips]  # the samples that a file gives
    rows = np.stack([np.pad(clip, (0, 27_000 - len(clip))) for clip in read]).astype("float32")
    waveforms = served["waveforms"](
        waveforms=tf.constant(rows),
        lengths=tf.constant([len(clip) for clip in clips]),
        sample_rate=tf.fill([3], 16_000),
    )
    assert np.ptp(files["probabilities"][:, 0]) > 1e-3
    np.testing.assert_allclose(waveforms["probabilities"], files["probabilities"], atol=1e-5)
