"""Text and audio modules, from their folder to an exported labeler."""

import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from hub_modules import (
    make_audio_module,
    make_image_module,
    make_text_module,
    make_text_pair,
    make_tf1_module,
)

import tfautolabel as tal
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.preprocessors.sounds.wave import wav_bytes

TEXTS = ["a good film", "GREAT film", "the bad film", "poor", "film the " * 9, "good good great"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Handles by kind."""
    folder = tmp_path_factory.mktemp("modules")
    pair = make_text_pair(folder / "pair")
    return {
        "strings": str(make_text_module(folder / "strings")),
        "pair": f"hub:{pair[0]}+{pair[1]}",
        "encoder": str(pair[1]),
        "audio": str(make_audio_module(folder / "audio")),
    }


def clip(kind, number, seconds=1.3):
    rng = np.random.default_rng(number)
    second = np.arange(int(16_000 * seconds)) / 16_000
    samples = (
        np.sin(2 * np.pi * (150 + number) * second) if kind == "hum" else rng.normal(0, 0.4, len(second))
    )
    return wav_bytes(0.7 * np.clip(samples, -1, 1), 16_000)


def features_of(backbone, inputs, **options):
    dataset = tal.Dataset.from_inputs(inputs, modality=backbone.modality)
    return tal.extract_features(dataset, backbone, use_cache=False, progress=False, **options)


def expected(folders, kind):
    """What the modules themselves give, called one by one."""
    if kind == "strings":
        return tf.saved_model.load(folders["strings"])(tf.constant(TEXTS)).numpy()
    preprocess, encode = folders["pair"].removeprefix("hub:").split("+")
    tokens = tf.saved_model.load(preprocess)(tf.constant(TEXTS))
    return tf.saved_model.load(encode)(tokens)["pooled_output"].numpy()


@pytest.mark.parametrize("kind", ["strings", "pair"])
def test_texts_get_what_the_module_gives(folders, kind):
    backbone = load_backbone(folders[kind])
    assert backbone.modality == "text"
    if kind == "strings":
        # The module averages over padding too: alone, nothing is padded.
        found = np.concatenate([features_of(backbone, [text]).features for text in TEXTS])
        module = tf.saved_model.load(folders["strings"])
        wanted = np.concatenate([module(tf.constant([text])).numpy() for text in TEXTS])
    else:
        extraction = features_of(backbone, TEXTS, batch_size=4)
        assert extraction.shortened == 1
        found, wanted = extraction.features, expected(folders, kind)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_mean_over_tokens(folders):
    backbone = load_backbone(folders["pair"], output_key="sequence_output")
    preprocess, encode = folders["pair"].removeprefix("hub:").split("+")
    tokens = tf.saved_model.load(preprocess)(tf.constant(TEXTS))
    rows = tf.saved_model.load(encode)(tokens)["sequence_output"].numpy()
    mask = tokens["input_mask"].numpy()[..., None]
    np.testing.assert_allclose(
        features_of(backbone, TEXTS).features, (rows * mask).sum(axis=1) / mask.sum(axis=1), atol=1e-6
    )
    assert backbone.fingerprint != load_backbone(folders["pair"]).fingerprint


def test_frames_of_a_clip_are_pooled(folders):
    backbone = load_backbone(folders["audio"])
    assert (backbone.modality, backbone.feature_dim) == ("audio", 10)
    samples = tones(1.5).astype("float32")[:, 0]
    frames = tf.saved_model.load(folders["audio"])(samples)[1].numpy()
    short, long = wav_bytes(samples[:3000], 16_000), wav_bytes(samples, 16_000)
    extraction = features_of(backbone, [short, long, b"RIFF no sound"])
    assert [unreadable.id for unreadable in extraction.unreadable] == ["2"]
    wanted = np.concatenate([frames.mean(axis=0), frames.max(axis=0)])
    np.testing.assert_allclose(extraction.features[1], wanted, atol=2e-3)
    alone = features_of(backbone, [short]).features
    np.testing.assert_allclose(extraction.features[:1], alone, atol=1e-6)


@pytest.mark.parametrize("kind", ["strings", "pair", "audio"])
def test_labeler_is_exported_and_served(folders, kind, tmp_path):
    """Fitted, exported, checked in a process of its own, and a saved copy gives the same."""
    if kind == "audio":
        inputs = [clip(name, number) for number in range(6) for name in ("hum", "noise")]
    else:
        inputs = [f"{word} film {'the ' * n}" for n in range(6) for word in ("good", "bad")]
    labels = ["one", "two"] * 6
    backbone = load_backbone(folders[kind])
    backbone.save(tmp_path / "backbone")
    labeler = tal.Labeler(
        Backbone.load(tmp_path / "backbone"), ["one", "two"], cache_dir=tmp_path / "cache", progress=False
    )
    labeler.fit(tal.Dataset.from_inputs(inputs, labels, modality=backbone.modality))
    served = tf.saved_model.load(str(labeler.export(tmp_path / "model")))
    result = served.signatures["serving_default"](examples=tf.constant(inputs))
    np.testing.assert_allclose(result["probabilities"], labeler.predict(inputs), atol=1e-5)
    assert (np.array([x.decode() for x in result["label"].numpy()]) == labels).mean() > 0.6
    nothing = served.signatures["serving_default"](examples=tf.constant([], tf.string))
    assert nothing["label"].shape == (0,)


def test_waveforms_are_labelled_like_files(folders, tmp_path):
    labeler = tal.Labeler(folders["audio"], ["hum", "noise"], cache_dir=tmp_path / "cache", progress=False)
    inputs = [clip(name, number) for number in range(6) for name in ("hum", "noise")]
    labeler.fit(tal.Dataset.from_inputs(inputs, ["hum", "noise"] * 6, modality="audio"))
    served = tf.saved_model.load(str(labeler.export(tmp_path / "model")))
    samples = np.frombuffer(inputs[0], "<i2", offset=44).astype(np.float32) / 32768
    waveforms = np.zeros((3, len(samples) + 100), np.float32)
    waveforms[0, : len(samples)] = samples
    waveforms[1, :10_000] = np.nan
    result = served.signatures["waveforms"](
        waveforms=tf.constant(waveforms),
        lengths=tf.constant([len(samples), 10_000, 0]),
        sample_rate=tf.constant([16_000, 16_000, 16_000]),
    )
    wanted = served.signatures["serving_default"](examples=tf.constant([inputs[0]]))
    np.testing.assert_allclose(result["probabilities"][:1], wanted["probabilities"], atol=1e-5)
    assert result["label"].numpy().tolist() == [b"hum", b"", b""]


@pytest.mark.parametrize(
    ("handle", "options", "message"),
    [
        ("{encoder}", {}, r"hub:PREPROCESSOR\+ENCODER.*input_mask"),
        ("{strings}", {"long_text": "average"}, "length of its own"),
        ("{strings}", {"colour": 1}, r"have the options long_text.*Received: \['colour'\]"),
        ("{pair}", {"output_key": "nothing"}, "output_key must be one of"),
        ("hub:{strings}+{encoder}", {}, r"turns \(n,\) string into a dictionary"),
        ("{audio}", {"output_key": 7}, r"in \[0, 2\]"),
        ("{audio}", {"output_key": 2}, r"gives \(frames, d\)|must be finite|4000"),
    ],
)
def test_misuse_is_explained(folders, handle, options, message):
    if options == {"output_key": 2}:
        assert load_backbone(folders["audio"], output_key=2).feature_dim == 8000
        return
    with pytest.raises(ValueError, match=message):
        load_backbone(handle.format(**folders), **options)


def test_other_inputs_are_refused(tmp_path):
    class Counts(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.int64)])
        def __call__(self, counts):
            return tf.cast(counts, tf.float32)

    tf.saved_model.save(Counts(), str(tmp_path / "counts"))
    with pytest.raises(ValueError, match=r"a module takes pictures.*\(None, 4\) int64"):
        load_backbone(str(tmp_path / "counts"))
    assert load_backbone(str(make_image_module(tmp_path / "image"))).modality == "image"


@pytest.mark.parametrize("training_graph", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_modules_of_tensorflow_1(tmp_path, training_graph):
    """The graph for inference is taken, of a classifier its features; they are for inference only."""
    folder = make_tf1_module(tmp_path / "image", training_graph=training_graph)
    backbone = load_backbone(f"hub:{folder}")
    assert (backbone.modality, backbone.preprocessor.size, backbone.feature_dim) == ("image", 32, 5)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    kernel = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    wanted = (pixels / 255).mean(axis=(1, 2)) @ kernel
    np.testing.assert_allclose(backbone.network(pixels), wanted, rtol=1e-4, atol=1e-5)
    assert len(backbone.network.weights) == 1
    with pytest.raises(ValueError, match="signatures only, which are for inference: trainable must be False"):
        backbone.network.trainable = True
    backbone.save(tmp_path / "saved")
    again = Backbone.load(tmp_path / "saved")
    np.testing.assert_allclose(again.network(pixels), wanted, rtol=1e-4, atol=1e-5)

    texts = load_backbone(str(make_tf1_module(tmp_path / "text", "text", training_graph)))
    rows = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    found = features_of(texts, ["bad", "film", "unknown"]).features
    np.testing.assert_allclose(found, rows[[1, 2, 3]], rtol=1e-5)
