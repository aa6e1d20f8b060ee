import numpy as np
import pytest
import tensorflow as tf
from clips import FLOAT, PCM, broken, tones, wav

from tfautolabel.data import ReadFailure, long_sounds
from tfautolabel.data.long_sounds import LongSound, wav_or_long
from tfautolabel.data.sound_files import as_wav
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

LAYER = WavePreprocessor(window_seconds=0.3, min_samples=4000)


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch):
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 0)
    monkeypatch.setattr(long_sounds, "LONG_BYTES", 0)


def cut_at_once(layer, data, at_once):
    windows = layer.long_windows(wav_or_long(data, 16_000))
    groups = list(windows.groups(at_once))
    assert [len(waves) for waves, _ in groups[:-1]] == [at_once] * (len(groups) - 1)
    found = [np.concatenate(parts) for parts in zip(*groups, strict=True)]
    assert found[0].shape == (windows.number, windows.width)
    return found


@pytest.mark.parametrize(
    ("rate", "block"),
    [
        (1000, 300), (8000, 997), (11_025, 2000), (12_345, 5000), (16_000, 997), (22_050, 3000),
        (44_100, 4000), (48_000, 1000), (48_000, 10**6),
    ],
)  # fmt: skip
def test_windows_are_those_of_the_graph(rate, block, monkeypatch):
    monkeypatch.setattr(long_sounds, "BLOCK_SAMPLES", block)
    data = wav(tones(1.3, rate), FLOAT, 32, rate)
    waves, lengths = (value.numpy() for value in LAYER(tf.constant([data])).inputs)
    for at_once in (1, 4):
        found = cut_at_once(LAYER, data, at_once)
        np.testing.assert_allclose(found[0], waves, rtol=0, atol=0 if rate == 16_000 else 2e-6)
        np.testing.assert_array_equal(found[1], lengths)
        assert (found[0].dtype, found[1].dtype) == (waves.dtype, lengths.dtype)


@pytest.mark.parametrize("samples", [1, 4800, 4801, 9599])
def test_short_windows_are_padded(samples):
    data = wav(np.full(samples, 0.5), PCM, 16)
    for found, wanted in zip(cut_at_once(LAYER, data, 3), LAYER(tf.constant([data])).inputs, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("name", broken())
def test_unreadable_clips_have_the_reason_of_the_graph(name):
    data, _ = broken()[name]
    layer = WavePreprocessor()
    try:
        wanted = layer.why_unreadable(as_wav(data))
    except ReadFailure as failure:
        wanted = str(failure)

    def read():
        clip = wav_or_long(data, 16_000)
        assert isinstance(clip, LongSound) == bool(data)
        list(layer.long_windows(clip).groups(1) if data else [])
        raise ReadFailure(layer.why_unreadable(clip))

    with pytest.raises(ReadFailure) as caught:
        read()
    assert str(caught.value) == wanted


def test_a_clip_that_is_too_long_is_refused_before_it_is_decoded():
    layer, data = WavePreprocessor(max_seconds=3), wav(np.zeros(3001), rate=1000)
    with pytest.raises(ReadFailure, match="too long: 3 seconds, at most 3 are read"):
        layer.long_windows(wav_or_long(data, 16_000))
    assert WavePreprocessor(max_seconds=4).long_windows(wav_or_long(data, 16_000)).number == 1


def test_a_layer_that_changes_the_call_takes_no_long_clips():
    class Louder(WavePreprocessor):
        def call(self, examples):
            return super().call(examples)

    assert WavePreprocessor().takes_long
    assert not Louder().takes_long
