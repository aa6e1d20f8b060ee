import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from picture_and_sound_checkpoints import DEPTH, MODELS, write_checkpoint, write_safetensors

from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint
from tfautolabel.backbones.huggingface.wav2vec2 import build_wav2vec2
from tfautolabel.backbones.huggingface.wave_layers import WaveConvolution, frame_counts, receptive_field

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = [name for name in MODELS if name.startswith(("wav2vec2", "hubert"))]


def padded(*clips, behind=1000):
    """Clips in one batch, silence behind them, and their lengths."""
    longest = max(map(len, clips)) + behind
    rows = np.stack([np.pad(clip, (0, longest - len(clip))) for clip in clips])
    return [rows.astype("float32"), np.array([len(clip) for clip in clips], "int32")]


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "hugging_face_wav2vec2.npz") as stored:
        return dict(stored)


@pytest.mark.parametrize("layer", range(DEPTH + 1))
@pytest.mark.parametrize("name", NAMES)
def test_golden_parity(name, layer, golden, tmp_path):
    """Two clips in a padded batch get what transformers gives for each of them alone."""
    _, network = build_wav2vec2(read_checkpoint(write_checkpoint(tmp_path, name)), layer=layer)
    clips = [golden["wave"][:length] / 32768 for length in golden["lengths"]]
    np.testing.assert_allclose(network(padded(*clips)), golden[name][:, layer], atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing(name, tmp_path):
    _, network = build_wav2vec2(read_checkpoint(write_checkpoint(tmp_path, name)))
    clips = [tones(seconds, seed=7)[:, 0] for seconds in (0.1, 0.25, 0.4)]
    together = network(padded(*clips)).numpy()
    for row, clip in enumerate(clips):
        np.testing.assert_allclose(network(padded(clip, behind=0)), together[row : row + 1], atol=1e-5)


@pytest.mark.parametrize("normalised", [True, False])
def test_loudness_counts_unless_samples_are_normalised(normalised, tmp_path):
    folder = write_checkpoint(tmp_path, "wav2vec2-stable")
    prepared = {"sampling_rate": 16_000, "do_normalize": normalised}
    (folder / "preprocessor_config.json").write_text(json.dumps(prepared))
    _, network = build_wav2vec2(read_checkpoint(folder))
    clip = tones(0.2)[:, 0]
    loud, quiet = network(padded(clip, clip / 10)).numpy()
    assert (np.abs(loud - quiet).max() < 1e-3) == normalised


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-stable"])
def test_clip_too_short_for_a_frame_counts_with_silence(name, tmp_path):
    preprocessor, network = build_wav2vec2(read_checkpoint(write_checkpoint(tmp_path, name)))
    assert preprocessor.min_samples == receptive_field((10, 3, 2), (5, 2, 2)) == 30
    features = network([np.full((2, 30), 0.5, "float32"), np.array([3, 0], "int32")]).numpy()
    assert np.isfinite(features).all()


def test_names_of_old_and_new_checkpoints(tmp_path):
    """The position's kernel is stored under other names since torch 2.0."""
    folder = write_checkpoint(tmp_path, "wav2vec2")
    _, old = build_wav2vec2(read_checkpoint(folder))
    config, _, weights = MODELS["wav2vec2"]
    parts = {"weight_g": "original0", "weight_v": "original1"}
    renamed = {}
    for name, value in weights(config).items():
        place, _, last = name.rpartition(".")
        renamed[f"{place}.parametrizations.weight.{parts[last]}" if last in parts else name] = value
    write_safetensors(folder / "model.safetensors", renamed)
    _, new = build_wav2vec2(read_checkpoint(folder))
    clip = padded(tones(0.2)[:, 0])
    np.testing.assert_array_equal(new(clip), old(clip))


def test_counting_frames_by_reach_and_step():
    """Of each convolution, and of all of them one by one, the frames are the same."""
    kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
    assert receptive_field(kernels, strides) == 400
    lengths = np.arange(400, 3000)
    assert (frame_counts(lengths, kernels, strides) == (lengths - 400) // 320 + 1).all()


def test_blocks_above_the_layer_are_left_out(tmp_path):
    checkpoint = read_checkpoint(write_checkpoint(tmp_path, "wav2vec2"))
    for layer, number in ((None, 1), (0, 0), (2, 2)):
        _, network = build_wav2vec2(checkpoint, layer=layer)
        assert sum(part.name.startswith("block") for part in network.layers) == number


def test_sampling_rate_is_the_checkpoints(tmp_path):
    folder = write_checkpoint(tmp_path, "wav2vec2")
    (folder / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 8000}))
    preprocessor, _ = build_wav2vec2(read_checkpoint(folder), window_seconds=2.0)
    assert (preprocessor.sample_rate, preprocessor.window_seconds) == (8000, 2.0)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"layer": 3}, r"from 0 to 2\. Received: 3"),
        ({}, {"layer": -1}, r"from 0 to 2\. Received: -1"),
        ({}, {"layer": 1.0}, r"Received: 1\.0"),
        ({}, {"window_seconds": 0}, r"more than 0\. Received: 0"),
        ({"conv_pos_batch_norm": True}, {}, "must not ask for conv_pos_batch_norm"),
        ({"adapter_attn_dim": 16}, {}, "must not ask for adapter_attn_dim"),
        ({"num_conv_pos_embedding_groups": 5}, {}, r"must divide the width\. Received: 5"),
        ({"conv_kernel": None}, {}, "config.json must say 'conv_kernel'"),
    ],
)
def test_what_is_not_valid(changes, options, message, tmp_path):
    folder = write_checkpoint(tmp_path, "wav2vec2")
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message):
        build_wav2vec2(read_checkpoint(folder), **options)


def test_unknown_norm():
    with pytest.raises(ValueError, match=r"'group', 'layer' or 'none'\. Received: 'batch'"):
        WaveConvolution(1, 4, 3, 1, "batch", 3, 1)


def test_gradient_of_the_grouped_convolution(tmp_path):
    """It reaches the position's kernel, for which TensorFlow has no gradient in one piece on the CPU."""
    _, network = build_wav2vec2(read_checkpoint(write_checkpoint(tmp_path, "wav2vec2")))
    kernel = network.get_layer("position").kernel
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(network(padded(tones(0.2)[:, 0]), training=True)[:, 0])
    gradient = tape.gradient(value, kernel.value).numpy()
    assert (np.abs(gradient).max(axis=(0, 1)) > 0).all(), "all groups are reached"
