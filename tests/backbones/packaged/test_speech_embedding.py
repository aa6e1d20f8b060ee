from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import tones, wav

from tfautolabel.backbones.packaged.speech_embedding import (
    BINS,
    FRAME_STEP,
    FRAMES,
    HOP,
    MELS,
    SILENCE,
    WINDOW,
    LogMel,
    PoolOverTime,
    frame_counts,
)

GOLDEN = Path(__file__).parents[2] / "golden"


def samples_for(vectors):
    """The fewest samples that make so many vectors, with the silence around them."""
    return WINDOW + (FRAMES - 1 + (vectors - 1) * FRAME_STEP) * HOP - 2 * SILENCE


def log_mel(seed=0):
    """The front end with a real transform and random bands."""
    layer, rng = LogMel(), np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(WINDOW)[:, None] * np.arange(BINS) / WINDOW
    layer.set_weights([np.cos(angle), np.sin(angle), rng.uniform(0, 1, (BINS, MELS))])
    return layer


def test_frames_do_not_depend_on_what_follows_the_clip():
    """The click at the end lies in a frame that only the padding completes: it must not set the level."""
    layer, total = log_mel(), WINDOW + 90 * HOP + 100
    clip = 1e-4 * np.random.default_rng(1).uniform(-1, 1, total).astype("float32")
    clip[-1] = 1.0
    lengths = np.array([total - 2 * SILENCE], "int32")
    alone, padded = layer(clip[None], lengths), layer(np.pad(clip, (0, 9000))[None], lengths)
    assert alone.shape[1] == frame_counts(lengths)[0]
    np.testing.assert_allclose(padded[:, : alone.shape[1]], alone, atol=1e-5)


def test_level_and_depth():
    """Ten times as loud is two tenths of ten decibels more; nothing lies deeper than 80 decibels."""
    layer, clip = log_mel(), tones(2.0).astype("float32").T
    lengths = np.array([clip.shape[1] - 2 * SILENCE], "int32")
    loud, soft = layer(clip, lengths).numpy(), layer(clip / 10, lengths).numpy()
    np.testing.assert_allclose(loud - soft, 2.0, atol=1e-3)
    clip[:, 16_000:] = 0
    quiet_end = layer(clip, lengths).numpy()
    assert quiet_end.max() - quiet_end.min() == pytest.approx(8.0, abs=1e-4)


@pytest.mark.parametrize("vectors", [3, 4, 7])
@pytest.mark.parametrize("beyond", [0, HOP * FRAME_STEP - 1])
def test_pooling_takes_whole_vectors_only(vectors, beyond):
    values = np.random.default_rng(0).normal(-5, 1, (1, 9, 4)).astype("float32")
    found = PoolOverTime()(values, np.array([samples_for(vectors) + beyond], "int32"))[0]
    inside = values[0, :vectors]
    np.testing.assert_allclose(found, np.concatenate([inside.mean(0), inside.max(0)]), rtol=1e-5)


def test_shortest_clips_have_vectors():
    values = np.random.default_rng(0).normal(0, 1, (2, 9, 4)).astype("float32")
    found = PoolOverTime()(values, np.array([1, samples_for(4) - 1], "int32"))
    np.testing.assert_allclose(found[:, 4:], values[:, :3].max(1))


@pytest.fixture(scope="module")
def backbone():
    import tfautolabel as tal

    return tal.load_backbone("packaged:speech-embedding")


@pytest.mark.packaged
def test_golden_parity():
    """Log-mel frames and vectors of a sweep with noise, computed once by the original's two graphs."""
    import tfautolabel as tal
    from tfautolabel.backbones.packaged import PACKAGED

    # A model from a layer in the middle changes the network's graph: this one is not shared.
    backbone = tal.load_backbone("packaged:speech-embedding")

    with np.load(GOLDEN / "speech_embedding.npz") as golden:
        wave, expected_log_mel, expected = golden["wave"], golden["log_mel"], golden["vectors"]
    network = backbone.network
    # From behind the silence that the original does not put around a clip.
    inputs = [network.get_layer("silence").output, network.inputs[1]]
    parts = [network.get_layer(name).output for name in ("log_mel", "vectors")]
    clip = [(wave[None] / 32768).astype("float32"), np.array([len(wave) - 2 * SILENCE], "int32")]
    found_log_mel, found, pooled = keras.Model(inputs, [*parts, network.output])(clip)
    np.testing.assert_allclose(found_log_mel[0, ::8, :, 0], expected_log_mel, atol=1e-4)
    np.testing.assert_allclose(found[0], expected, atol=1e-3)
    np.testing.assert_allclose(pooled[0], np.concatenate([expected.mean(0), expected.max(0)]), atol=1e-3)
    entry = PACKAGED["speech-embedding"]
    assert entry.feature_dim == backbone.feature_dim == 2 * expected.shape[1]
    assert entry.parameters == sum(weight.numpy().size for weight in network.weights)


@pytest.mark.packaged
def test_same_features_in_any_batch(backbone):
    """Frozen, with a clip of 25 seconds beside it, and alone."""
    from tfautolabel.features.frozen import FrozenNetwork

    clips = [
        wav(tones(seconds, rate, seed=rate)) for seconds, rate in ((0.2, 8000), (1.1, 44_100), (25, 8000))
    ]
    frozen = FrozenNetwork(backbone.network)
    ready = backbone.preprocessor(tf.constant(clips))
    together = frozen(*(value.numpy() for value in ready.inputs))
    scale = np.abs(together).max()
    for row, clip in enumerate(clips):
        alone = backbone.network(list(backbone.preprocessor(tf.constant([clip])).inputs)).numpy()
        np.testing.assert_allclose(together[ready.example.numpy() == row], alone, atol=1e-5 * scale)


@pytest.mark.packaged
def test_silence_and_noise_have_features(backbone):
    rng = np.random.default_rng(0)
    clips = [
        wav(np.zeros(1)),
        wav(np.zeros(40_000)),
        wav(rng.uniform(-1, 1, 40_000)),
        wav([1e6] * 9000, 3, 32),
    ]
    ready = backbone.preprocessor(tf.constant(clips))
    assert ready.readable.numpy().all()
    assert np.isfinite(backbone.network(list(ready.inputs)).numpy()).all()
