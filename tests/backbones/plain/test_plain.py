"""Features without transfer equal a direct computation. `test_sources.py` saves and exports them."""

import numpy as np
import pytest
import tensorflow as tf
from clips import tones

from tfautolabel.backbones import load_backbone
from tfautolabel.backbones.backbone import run_network
from tfautolabel.backbones.plain import PLAIN, plain_of
from tfautolabel.backbones.plain.spectrum import BANDS, HOP, WINDOW


def features(backbone, examples):
    ready = backbone.prepare(tf.constant(examples, tf.string))
    return np.asarray(run_network(backbone.network, ready.inputs)), ready.readable.numpy()


def test_there_is_one_for_each_modality_and_an_unknown_name_is_told():
    handles = {modality: plain_of(modality) for modality in ("image", "text", "audio")}
    assert {handle.partition(":")[2] for handle in handles.values()} == set(PLAIN)
    with pytest.raises(ValueError, match=r"one of pixels, words, spectrum\. Received: 'edges'"):
        load_backbone("plain:edges")
    with pytest.raises(ValueError, match=r"plain:pixels has no options\. Received: \['long_text'\]"):
        load_backbone("plain:pixels", long_text="average")
    with pytest.raises(ValueError, match="did you mean plain:pixels"):
        load_backbone("pixels")


def test_pixels_are_those_of_the_picture_made_small():
    plain = tf.io.encode_png(np.full((40, 40, 3), [51, 102, 255], np.uint8)).numpy()
    found, _ = features(load_backbone("plain:pixels"), [plain])
    assert found.reshape(-1, 3) == pytest.approx(np.tile([0.2, 0.4, 1.0], (256, 1)), abs=1e-6)


def test_words_and_pairs_are_counted_on_a_logarithmic_scale():
    found, readable = features(
        load_backbone("plain:words"), [b"Good good GOOD", b"good", b"bad good", b"good bad", b" "]
    )
    assert readable.tolist() == [True] * 4 + [False]
    assert np.linalg.norm(found[:4], axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    # Three times the word, twice the pair, once at the beginning.
    expected = np.log1p([1, 2, 3]) / np.linalg.norm(np.log1p([1, 2, 3]))
    assert np.sort(found[0][found[0] > 0]) == pytest.approx(expected, abs=1e-6)
    word_and_beginning = np.flatnonzero(found[1])
    assert found[0, word_and_beginning] == pytest.approx(expected[[0, 2]]) or found[
        0, word_and_beginning
    ] == pytest.approx(expected[[2, 0]])
    assert found[2] @ found[3] == pytest.approx(2 / 4, abs=1e-5), "two words in common, and no pair"


def test_words_of_a_long_text_are_cut_off_or_averaged():
    long = b"early " * 3000 + b"late " * 3000
    both, _ = features(load_backbone("plain:words"), [long, b"early " * 2500])
    assert both[0] @ both[1] == pytest.approx(1.0), "the end is not seen"
    ready = load_backbone("plain:words", long_text="average").prepare(tf.constant([long]))
    assert len(ready.inputs[0]) == 3, "of 2,047 words each"
    assert not ready.shortened.numpy().any()


def test_spectra_are_the_mean_and_spread_of_the_bands_within_the_clip():
    backbone = load_backbone("plain:spectrum")
    long, short = tones(1.0)[:, 0].astype(np.float32), tones(0.3, seed=1)[:, 0].astype(np.float32)
    together = np.zeros((2, len(long)), np.float32)
    together[0], together[1, : len(short)] = long, short
    lengths = np.array([len(long), len(short)], np.int32)
    found = np.asarray(backbone.network([together, lengths]))
    mel = tf.signal.linear_to_mel_weight_matrix(BANDS, 257, 16_000, 60.0, 7_600.0).numpy()
    window = tf.signal.hann_window(WINDOW).numpy()
    for row, wave in enumerate((long, short)):
        frames = [wave[at : at + WINDOW] * window for at in range(0, len(wave) - WINDOW + 1, HOP)]
        bands = np.log(np.abs(np.fft.rfft(frames, 512)) @ mel + 1e-4)
        mean = bands.mean(axis=0)
        expected = np.concatenate([mean - mean.mean(), bands.std(axis=0)])
        assert found[row] == pytest.approx(expected, abs=0.02)
