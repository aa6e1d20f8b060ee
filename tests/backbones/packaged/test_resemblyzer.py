import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import tones, wav

from tfautolabel.backbones.networks.spectra import slaney_mel
from tfautolabel.backbones.packaged.resemblyzer import (
    HOP,
    MELS,
    PART_FRAMES,
    PART_STEP,
    MeanVoice,
    VoiceWindows,
    window_counts,
)

GOLDEN = Path(__file__).parents[2] / "golden"


def counted_one_by_one(samples):
    """The package's `compute_partial_slices`, written out."""
    frames = math.ceil((samples + 1) / HOP)
    starts = range(0, max(1, frames - PART_FRAMES + PART_STEP + 1), PART_STEP)
    covered = (samples - starts[-1] * HOP) / (PART_FRAMES * HOP)
    return len(starts) - (len(starts) > 1 and covered < 0.75)


def test_window_counts_are_the_packages():
    lengths = [
        *range(1, 60_000, 37),
        *(HOP * number + off for number in range(100, 400) for off in (-1, 0, 1)),
    ]
    assert window_counts(tf.constant(lengths)).numpy().tolist() == [counted_one_by_one(n) for n in lengths]


def test_windows_do_not_depend_on_what_follows_the_clip():
    clip = 0.01 * tones(2.2)[:, 0].astype("float32")
    lengths = np.array([len(clip)], "int32")
    alone = VoiceWindows()(clip[None], lengths).numpy()
    longer = VoiceWindows()(np.pad(clip, (0, 70_000))[None], lengths).numpy()
    assert alone.shape == (window_counts(lengths).numpy()[0], PART_FRAMES, MELS)
    np.testing.assert_allclose(longer, alone, atol=1e-6 * alone.max())


def test_quiet_clips_are_raised_and_loud_ones_are_not_lowered():
    clip = tones(1.0).astype("float32").T
    lengths = np.array([clip.shape[1]], "int32")
    quiet, quieter, normal, loud = (
        VoiceWindows()(clip * gain, lengths).numpy() for gain in (1e-3, 1e-4, 1.0, 2.0)
    )
    np.testing.assert_allclose(quiet, quieter, rtol=1e-3, atol=1e-6 * quiet.max())
    np.testing.assert_allclose(loud, 4 * normal, rtol=1e-4, atol=1e-6 * loud.max())


def test_mean_is_over_a_clips_own_windows():
    vectors = np.random.default_rng(0).normal(0, 1, (6, 5)).astype("float32")
    lengths = np.array([16_000, 60_000], "int32")
    counts = window_counts(lengths).numpy()
    assert counts.tolist() == [1, 4]
    rows = np.concatenate([vectors[:1], np.full((3, 5), 9, "float32"), vectors[1:5]])
    means = np.stack([vectors[0], vectors[1:5].mean(0)])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(MeanVoice()(rows, lengths), expected, rtol=1e-5)


def test_mel_bands_have_equal_area():
    """Each triangle's area over frequency is one, as far as bins of 40 Hz show it."""
    filters = slaney_mel(40, 400, 16_000)
    assert filters.shape == (201, MELS)
    wide = filters[:, 20:] * 40
    np.testing.assert_allclose(wide.sum(0), 1, atol=0.02)
    assert (np.diff(filters.argmax(0)) >= 1).all()


@pytest.fixture(scope="module")
def backbone():
    import tfautolabel as tal

    return tal.load_backbone("packaged:resemblyzer")


@pytest.mark.packaged
def test_golden_parity(backbone):
    """Windows and voices of a sweep with noise, also a hundred times quieter, by the original package."""
    from tfautolabel.backbones.packaged import PACKAGED

    with np.load(GOLDEN / "resemblyzer.npz") as golden:
        wave, windows = golden["wave"], golden["windows"]
        voices = np.stack([golden["voice"], golden["quiet_voice"]])
    network = backbone.network
    waves = np.stack([wave / 32768, wave / 3276800]).astype("float32")
    inputs = [waves, np.full(2, len(wave), "int32")]
    unit = keras.Model(network.inputs, network.get_layer("unit").output)(inputs).numpy()
    np.testing.assert_allclose(unit[: len(windows)], windows, atol=1e-4)
    found = network(inputs).numpy()
    np.testing.assert_allclose(found, voices, atol=1e-3)
    assert (found * voices).sum(1).min() > 0.9999
    entry = PACKAGED["resemblyzer"]
    assert entry.feature_dim == backbone.feature_dim == voices.shape[1]
    assert entry.parameters == sum(weight.numpy().size for weight in network.weights)


@pytest.mark.packaged
def test_same_features_in_any_batch(backbone):
    """Frozen, with longer clips beside it, and alone."""
    from tfautolabel.features.frozen import FrozenNetwork

    clips = [
        wav(tones(seconds, rate, seed=rate)) for seconds, rate in ((0.2, 8000), (3.1, 44_100), (12, 8000))
    ]
    clips.append(wav(np.zeros(9)))
    ready = backbone.preprocessor(tf.constant(clips))
    together = FrozenNetwork(backbone.network)(*(value.numpy() for value in ready.inputs))
    assert np.isfinite(together).all()
    for row, clip in enumerate(clips):
        alone = backbone.network(list(backbone.preprocessor(tf.constant([clip])).inputs)).numpy()
        np.testing.assert_allclose(together[ready.example.numpy() == row], alone, atol=1e-5)
