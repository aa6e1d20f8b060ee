"""Presets of KerasHub: the same features as its own pipeline, saved, exported and served."""

import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from hub_server import stand_in_for_kaggle
from kerashub_presets import LENGTH, make_preset

import tfautolabel as tal
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.preprocessors.sounds.wave import wav_bytes

keras_hub = pytest.importorskip("keras_hub")

TEXTS = ["a good film", "GREAT film", "the bad films", "poor", "film the " * 9, "good good great"]
TEXT_KINDS = ["bert", "distilbert", "roberta", "xlm-roberta"]


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    """Kind to folder, made when asked for."""
    folder = tmp_path_factory.mktemp("presets")

    def preset(kind):
        return folder / kind if (folder / kind).exists() else make_preset(kind, folder / kind)

    return preset


def load(folder, **options):
    return load_backbone(f"kerashub:{folder}", **options)


def features_of(backbone, inputs, **options):
    dataset = tal.Dataset.from_inputs(inputs, modality=backbone.modality)
    return tal.extract_features(dataset, backbone, use_cache=False, progress=False, **options)


def picture(size=32):
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return pixels, tf.io.encode_png(pixels).numpy()


@pytest.mark.parametrize("kind", ["resnet", "vit"])
def test_pictures_get_what_keras_hub_gives(presets, kind):
    folder = str(presets(kind))
    backbone = load(folder)
    assert (backbone.modality, backbone.preprocessor.size) == ("image", 32)
    pixels, encoded = picture()
    theirs = keras_hub.models.Backbone.from_preset(folder)(
        keras_hub.layers.ImageConverter.from_preset(folder)(pixels[None].astype("float32"))
    ).numpy()
    wanted = theirs.mean(axis=(1, 2)) if kind == "resnet" else theirs[:, 0]
    np.testing.assert_allclose(features_of(backbone, [encoded]).features, wanted, rtol=1e-4, atol=1e-4)
    if kind == "vit":
        average = load(folder, pooling="average")
        np.testing.assert_allclose(
            features_of(average, [encoded]).features, theirs.mean(axis=1), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_texts_get_what_keras_hub_gives(presets, kind):
    folder = str(presets(kind))
    preprocessor = keras_hub.models.TextClassifierPreprocessor.from_preset(folder, sequence_length=LENGTH)
    made = preprocessor(TEXTS)
    output = keras_hub.models.Backbone.from_preset(folder)(made)
    sequence = (output["sequence_output"] if isinstance(output, dict) else output).numpy()
    mask = np.asarray(made["padding_mask"])[..., None].astype("float32")
    extraction = features_of(load(folder), TEXTS, batch_size=4)
    np.testing.assert_allclose(
        extraction.features, (sequence * mask).sum(axis=1) / mask.sum(axis=1), rtol=1e-4, atol=1e-4
    )
    assert np.abs(extraction.features - extraction.features[:1])[1:].max(axis=1).min() > 1e-3
    assert extraction.shortened >= 1
    cls = features_of(load(folder, pooling="cls"), TEXTS)
    np.testing.assert_allclose(cls.features, sequence[:, 0], rtol=1e-4, atol=1e-4)


def test_sound_gets_what_keras_hub_gives(presets):
    folder = str(presets("whisper"))
    backbone = load(folder)
    assert (backbone.modality, backbone.feature_dim) == ("audio", 8)
    clips = [tones(seconds)[:, 0] for seconds in (0.7, 1.3)]
    whisper = keras_hub.models.Backbone.from_preset(folder)
    converter = keras_hub.layers.AudioConverter.from_preset(folder)
    rows = []
    for clip in clips:
        samples = np.round(np.clip(clip, -1, 1) * 32767) / 32768
        inputs = {
            "encoder_features": tf.constant(converter(samples[None].astype("float32"))),
            "decoder_token_ids": tf.zeros((1, 1), "int32"),
            "decoder_padding_mask": tf.ones((1, 1), "int32"),
        }
        frames = whisper(inputs)["encoder_sequence_output"].numpy()[0]
        rows.append(frames[: -(-len(samples) // 320)].mean(axis=0))
    found = features_of(backbone, [wav_bytes(clip, 16_000) for clip in clips]).features
    np.testing.assert_allclose(found, rows, rtol=2e-3, atol=2e-3)
    assert load(folder).preprocessor.window_seconds == 2


def test_long_clips_are_cut_at_the_converters_length(presets):
    backbone = load(presets("whisper"))
    long = wav_bytes(tones(3.9)[:, 0], 16_000)
    assert backbone.preprocessor(tf.constant([long])).inputs[0].shape[0] == 2


def examples_of(kind):
    if kind == "whisper":
        return [wav_bytes(tones(seconds)[:, 0], 16_000) for seconds in (0.5, 0.7, 1.1, 1.3, 1.6, 2.4)]
    return TEXTS


@pytest.mark.parametrize("kind", ["whisper", "roberta"])
def test_labeler_is_exported_and_served(presets, kind, tmp_path):
    """Saved, loaded, fitted, exported, checked in a process of its own without keras_hub."""
    backbone = load(presets(kind))
    backbone.save(tmp_path / "backbone")
    again = Backbone.load(tmp_path / "backbone")
    assert (again.handle, again.fingerprint) == (backbone.handle, backbone.fingerprint)
    inputs = examples_of(kind)
    labeler = tal.Labeler(again, ["one", "two"], cache_dir=tmp_path / "cache", progress=False)
    labeler.fit(tal.Dataset.from_inputs(inputs, ["one", "two"] * 3, modality=backbone.modality))
    version = labeler.export(tmp_path / "model")
    served = tf.saved_model.load(str(version)).signatures["serving_default"](examples=tf.constant(inputs))
    np.testing.assert_allclose(served["probabilities"], labeler.predict(inputs), atol=1e-4)
    described = (version / "labeler.json").read_text()
    assert ("tensorflow-text" in described) == (kind in TEXT_KINDS)


FRESH = """
import os, sys
from tfautolabel.backbones import Backbone
for folder in sys.argv[1:]:
    if not (pid := os.fork()):
        print(Backbone.load(folder).fingerprint, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_saved_backbones_load_in_fresh_processes(presets, tmp_path):
    """Forks of one that has only imported: importing takes longer than loading."""
    kinds = ["bert", "whisper"]
    backbones = [load(presets(kind)) for kind in kinds]
    for kind, backbone in zip(kinds, backbones, strict=True):
        backbone.save(tmp_path / kind)
    command = [sys.executable, "-c", FRESH, *(str(tmp_path / kind) for kind in kinds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split()[-2:] == [one.fingerprint for one in backbones], done.stderr[-2000:]


def test_fingerprint_covers_what_counts(presets, tmp_path):
    """Words, lengths and scales; not where the preset lies, nor what keras called its layers."""
    backbone = load(presets("bert"))
    moved = shutil.copytree(presets("bert"), tmp_path / "moved")
    assert load(moved).fingerprint == load(presets("bert")).fingerprint == backbone.fingerprint
    words = moved / "assets" / "tokenizer" / "vocabulary.txt"
    words.write_text(words.read_text().replace("film", "book"))
    assert load(moved).fingerprint != backbone.fingerprint
    assert load(presets("bert"), pooling="cls").fingerprint != backbone.fingerprint

    pooled = load(presets("vit")).fingerprint
    assert load(presets("vit"), pooling="cls").fingerprint == pooled
    assert load(presets("vit"), pooling="average").fingerprint != pooled

    pictures = shutil.copytree(presets("resnet"), tmp_path / "pictures")
    before = load(pictures).fingerprint
    config = pictures / "image_converter.json"
    config.write_text(config.read_text().replace("0.017", "0.019"))
    assert load(pictures).fingerprint != before


def test_missing_package_names_its_extra(presets, tmp_path, monkeypatch):
    load(presets("vit")).save(tmp_path / "saved")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    for attempt in (lambda: load(presets("vit")), lambda: Backbone.load(tmp_path / "saved")):
        with pytest.raises(ImportError, match=r'pip install "tfautolabel\[kerashub\]"'):
            attempt()


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("bert", {"pooling": "max"}, r"pooling must be one of average, cls\. Received: pooling='max'"),
        ("bert", {"long_text": "average"}, "length of its own"),
        ("bert", {"colour": 1}, r"kerashub: backbones have the options long_text, pooling\. .*\['colour'\]"),
        ("resnet", {"pooling": "cls"}, "ResNetBackbone has no tokens"),
        ("whisper", {"pooling": "cls"}, "a clip has no first token"),
    ],
)
def test_options_that_do_not_fit(presets, kind, options, message):
    with pytest.raises(ValueError, match=message):
        load(presets(kind), **options)


def test_presets_that_do_not_exist(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=r"Received: 'bert_bas_en'; did you mean bert_base_en"):
        load("bert_bas_en")
    with pytest.raises(ValueError, match=r"hf://OWNER/NAME\. Received: 'owner/name'"):
        load("owner/name")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    for name in ("bert_base_en", "kaggle://a/b/keras/c", "hf://a/b"):
        with pytest.raises(FileNotFoundError, match=rf"kerashub:{name} is not in kagglehub's cache"):
            load(name)


def test_preset_that_cannot_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.delenv("TFAUTOLABEL_OFFLINE", raising=False)
    stand_in_for_kaggle(monkeypatch, "http://127.0.0.1:1")
    message = r"could not be fetched or loaded \(.*Received: 'kerashub:kaggle:"
    with pytest.raises(RuntimeError, match=message) as caught:
        load("kaggle://owner/model/keras/variation")
    assert "\n" not in str(caught.value)


def test_damaged_and_half_presets(presets, tmp_path):
    with pytest.raises(ValueError, match=r"holds config\.json\. Received: .*which holds \[\]"):
        load(tmp_path)
    half = shutil.copytree(presets("bert"), tmp_path / "half")
    shutil.rmtree(half / "assets")
    (half / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match=r"no preset that can be loaded \(File.*tokenizer\.json"):
        load(half)
    for file in ("config.json", "model.weights.h5"):
        broken = shutil.copytree(presets("bert"), tmp_path / file)
        (broken / file).write_bytes(b"{}"[:1] * 50)
        with pytest.raises(ValueError, match="no preset that can be loaded") as caught:
            load(broken)
        assert "\n" not in str(caught.value)


def test_other_families_are_refused(tmp_path):
    network = keras_hub.models.GPT2Backbone(
        vocabulary_size=9, num_layers=1, num_heads=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=8
    )
    network.save_to_preset(str(tmp_path / "gpt"))
    with pytest.raises(ValueError, match=r"no preset that can be loaded .*GPT2Backbone"):
        load(tmp_path / "gpt")
    network = keras_hub.models.FNetBackbone(
        vocabulary_size=9, num_layers=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=8
    )
    network.save_to_preset(str(tmp_path / "fnet"))
    with pytest.raises(ValueError, match=r"or is Whisper\. Received: kerashub:.*a FNetBackbone"):
        load(tmp_path / "fnet")


def test_build_model_trains_nothing_but_the_head(presets):
    model = tal.build_model(load(presets("bert")), "linear", ["one", "two"])
    assert len(model.trainable_variables) == 2
    assert model(tf.constant(TEXTS)).shape == (6, 2)
    assert keras.config.floatx() == "float32"
