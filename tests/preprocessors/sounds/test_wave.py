import functools
import struct
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from clips import ARRANGED, DEPTHS, FLOAT, PCM, broken, chunk, form, riff, tones, wav
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.data.wav_samples import A_LAW_VALUES, MU_LAW_VALUES
from tfautolabel.preprocessors.sounds.resample import resample
from tfautolabel.preprocessors.sounds.unreadable_sound import why_no_clip
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor

RATE = 16_000
BROKEN = broken()


@functools.cache
def graph(**options):
    layer = WavePreprocessor(RATE, **options)
    return tf.function(
        layer.call, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
    ).get_concrete_function()


def prepared(encoded, **options):
    return graph(**options)(tf.constant(encoded, tf.string, [len(encoded)]))


def one(encoded, **options):
    """The samples of a clip that is one window."""
    ready = prepared([encoded], **options)
    assert ready.readable.numpy().tolist() == [True]
    (samples,), (length,) = (value.numpy() for value in ready.inputs)
    assert not samples[length:].any()
    return samples[:length]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("extensible", [False, True])
def test_samples_of_every_depth(depth, channels, extensible):
    kind, bits = DEPTHS[depth]
    samples = tones(channels=channels)
    found = one(wav(samples, kind, bits, extensible=extensible))
    step = 0 if kind == FLOAT else 2.0 ** -(bits - 1)
    np.testing.assert_allclose(found, samples.mean(1), rtol=0, atol=step / 2 + 1e-6)


@pytest.mark.parametrize("kind", ARRANGED)
def test_chunks_in_any_order_and_of_any_claimed_size(kind):
    np.testing.assert_array_equal(one(ARRANGED[kind]()), one(wav(tones())))


@pytest.mark.parametrize("kind", ARRANGED)
def test_the_reason_finds_the_chunks_that_decoding_finds(kind):
    assert why_no_clip(ARRANGED[kind]()) == "WAV with samples that are no numbers"


@pytest.mark.parametrize("kind", [PCM, FLOAT])
def test_channels_that_cancel_give_the_louder_one(kind):
    tone, other = tones(0.1)[:, 0], tones(0.1, seed=1)[:, 0]
    bits = 16 if kind == PCM else 32
    for channels, wanted in (
        ([0.5 * tone, -tone], -tone),
        ([other, 0 * tone, -other], other),
        ([tone, -0.2 * tone], 0.4 * tone),
        ([tone, other], (tone + other) / 2),
    ):
        found = one(wav(np.stack(channels, axis=1), kind, bits))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)


def test_a_shared_offset_does_not_hide_that_channels_cancel():
    one_side = 0.4 * tones()
    samples = np.concatenate([0.3 + one_side, 0.3 - one_side], axis=1)
    np.testing.assert_allclose(one(wav(samples, FLOAT, 32)), samples[:, 0], atol=1e-6)
    offsets = np.full_like(samples, [0.3, -0.2])
    np.testing.assert_allclose(one(wav(offsets, FLOAT, 32)), offsets.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_extremes_of_whole_numbers(bits):
    np.testing.assert_allclose(one(wav([-1.0, 0.0, 1.0], PCM, bits)), [-1, 0, 1], atol=2.0 ** -(bits - 1))


def test_bytes_after_the_last_whole_frame_are_left_out():
    encoded = riff(chunk(b"fmt ", form(PCM, 16, 2)), chunk(b"data", struct.pack("<5h", 1, 3, 5, 7, 9)))
    np.testing.assert_array_equal(one(encoded) * 32768, [2, 6])


@pytest.mark.parametrize(("kind", "values"), [(6, A_LAW_VALUES), (7, MU_LAW_VALUES)])
def test_telephone_codes(kind, values):
    """Monotone in the code's size, symmetric, and the extremes that ITU-T G.711 gives."""
    found = one(wav(np.zeros((256, 1)), kind, 8, content=bytes(range(256))))
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(found[:128], -found[128:])
    assert len(np.unique(np.abs(found[128:]))) == 128
    assert found.max() * 32768 == {6: 32256, 7: 32124}[kind]


@pytest.mark.parametrize("rate", [8000, 11_025, 12_345, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_resampled_tones_are_the_tones(rate):
    """What lies below the filter's corner comes out as if it had been recorded at the other rate."""
    found = one(wav(tones(0.5, rate), FLOAT, 32, rate))
    expected = tones(0.5, RATE)[:, 0]
    assert abs(len(found) - len(expected)) <= 1
    inside = slice(200, len(expected) - 200)
    assert np.abs(found[: len(expected)][inside] - expected[inside]).max() < 2e-4


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000, 40_123])
def test_nothing_folds_back(rate):
    """A tone beyond half the new rate is gone, by 80 dB at least."""
    time = np.arange(rate) / rate
    for pitch in (8900, rate * 0.45):
        found = one(wav(np.sin(2 * np.pi * pitch * time), FLOAT, 32, rate))
        assert np.abs(found[400:-400]).max() < 1e-4


@pytest.mark.parametrize("rate", [8000, 12_345, 44_100])
def test_both_ways_to_resample_agree(rate, monkeypatch):
    samples = tf.constant(tones(0.2, rate)[:, 0], tf.float32)
    given_rate = tf.constant(rate, tf.int64)
    by_convolution = resample(samples, given_rate, RATE)
    monkeypatch.setattr("tfautolabel.preprocessors.sounds.resample.MAX_PHASES", 0)
    np.testing.assert_allclose(by_convolution, resample(samples, given_rate, RATE), atol=2e-6)


@pytest.mark.parametrize("rate", [8000, 48_000])
def test_long_clips_are_resampled_in_blocks(rate, monkeypatch):
    samples = tf.constant(tones(0.2, rate)[:, 0], tf.float32)
    given_rate = tf.constant(rate, tf.int64)
    at_once = resample(samples, given_rate, RATE).numpy()
    for numbers in (5000, 50_000):
        monkeypatch.setattr("tfautolabel.preprocessors.sounds.resample.FRAME_NUMBERS", numbers)
        np.testing.assert_allclose(resample(samples, given_rate, RATE), at_once, rtol=0, atol=1e-6)


TELEPHONE = """
import resource, sys
import numpy as np, tensorflow as tf
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor, wav_bytes
layer = WavePreprocessor(16_000)
layer(tf.constant([wav_bytes(np.zeros(8000), 8000)]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ready = layer(tf.constant([wav_bytes(np.zeros(8000 * 480), 8000)]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, *ready.inputs[0].shape)
"""


def test_eight_minutes_from_a_telephone_take_little_memory():
    """The samples take 31 MB. All frames of the filter at once would take 2 GB."""
    done = subprocess.run([sys.executable, "-c", TELEPHONE], capture_output=True, text=True, check=True)
    kilobytes, windows, length = map(int, done.stdout.split())
    assert windows * length == 480 * RATE
    assert kilobytes < 300_000


def test_level_is_kept():
    found = one(wav(np.full(8000, 0.25), FLOAT, 32, 44_100))
    np.testing.assert_allclose(found[300:-300], 0.25, atol=2e-5)


def test_one_sample():
    for rate in (1000, 8000, RATE, 44_100, 768_000):
        ready = prepared([wav([0.5], rate=rate)], min_samples=100)
        assert ready.readable.numpy().all()
        assert ready.inputs[0].shape == (1, 100)
        assert ready.inputs[1].numpy()[0] == max(1, RATE // rate)


def test_long_clips_become_windows_and_short_ones_are_padded():
    long, short = tones(2.3)[:, 0], tones(0.1)[:, 0]
    ready = prepared(
        [wav(short, FLOAT, 32), wav(long, FLOAT, 32), b"?"], window_seconds=1.0, min_samples=2000
    )
    waves, lengths = (value.numpy() for value in ready.inputs)
    assert ready.example.numpy().tolist() == [0, 1, 1, 1, 2]
    assert ready.readable.numpy().tolist() == [True, True, False]
    assert not ready.shortened.numpy().any()
    np.testing.assert_array_equal(waves[0], np.pad(short, (0, waves.shape[1] - 1600)).astype("float32"))
    again = np.concatenate([wave[:length] for wave, length in zip(waves[1:4], lengths[1:4], strict=True)])
    np.testing.assert_array_equal(again, long.astype("float32"))
    assert lengths[1:4].max() - lengths[1:4].min() <= 2
    assert not waves[4].any()
    assert lengths[4] >= 1


@pytest.mark.parametrize("name", BROKEN)
def test_broken_clip_costs_only_its_own_row_and_has_a_reason(name):
    encoded, reason = BROKEN[name]
    good = [ARRANGED["data-first"](), wav(tones(0.3, 8000), PCM, 24, 8000)]
    ready = prepared([good[0], encoded, good[1]])
    assert ready.readable.numpy().tolist() == [True, False, True]
    assert ready.example.numpy().tolist() == [0, 1, 2]
    expected = prepared(good).inputs[0].numpy()
    np.testing.assert_array_equal(np.delete(ready.inputs[0].numpy(), 1, 0), expected)
    assert reason in WavePreprocessor().why_unreadable(encoded)


def test_all_broken_and_none_at_all():
    ready = prepared([encoded for encoded, _ in BROKEN.values()], min_samples=30)
    assert ready.inputs[0].shape == (len(BROKEN), 30)
    assert not ready.readable.numpy().any()
    assert prepared([], min_samples=30).inputs[0].shape == (0, 30)


def test_too_long():
    encoded = wav(np.zeros(3001), rate=1000)
    assert prepared([encoded], max_seconds=4).readable.numpy().all()
    assert not prepared([encoded], max_seconds=3).readable.numpy().any()
    layer = WavePreprocessor(max_seconds=3)
    assert layer.why_unreadable(encoded) == "too long: 3 seconds, at most 3 are read"


def test_many_windows_of_many_clips():
    """More windows than clips by far, at the rate that grows most."""
    clips = [wav(np.zeros(700 + 13 * row), PCM, 8, rate=1000) for row in range(30)]
    ready = prepared(clips, window_seconds=0.05)
    counts = np.bincount(ready.example.numpy())
    assert counts.tolist() == [-(-(700 + 13 * row) * 16 // 800) for row in range(30)]
    assert (np.diff(ready.example.numpy()) >= 0).all()


def test_waveforms_give_what_their_files_give():
    layer = WavePreprocessor(RATE, min_samples=500)
    rates = [8000, 44_100, 16_000, 16_000, 0, 16_000]
    samples = [tones(0.1 * (row + 1), rate or RATE, seed=row)[:, 0] for row, rate in enumerate(rates)]
    samples[3][5] = np.nan
    lengths = [len(clip) for clip in samples[:-1]] + [0]
    rows = np.stack([np.pad(clip, (0, 30_000 - len(clip))) for clip in samples]).astype("float32")
    found = layer.from_waveforms(tf.constant(rows), tf.constant(lengths), tf.constant(rates))
    assert found.readable.numpy().tolist() == [True, True, True, False, False, False]
    files = [wav(clip, FLOAT, 32, rate) for clip, rate in zip(samples[:3], rates[:3], strict=True)]
    expected = prepared(files, min_samples=500)
    for value, wanted in zip(found.inputs, expected.inputs, strict=True):
        np.testing.assert_array_equal(value[:3], wanted)


def test_two_thousand_fuzzed_files():
    """Each is read, to finite samples of a sane size, or has a reason."""
    rng = np.random.default_rng(0)
    originals = [
        *(wav(tones(0.02, rate), *DEPTHS[depth], rate) for depth in DEPTHS for rate in (8000, 22_050)),
        *(ARRANGED[kind]()[:600] for kind in ARRANGED),
    ]
    read = 0
    for _ in range(10):
        batch = [fuzzed(rng, originals[rng.integers(len(originals))]) for _ in range(200)]
        ready = prepared(batch, window_seconds=2.0)
        readable = ready.readable.numpy()
        waves, lengths = (value.numpy() for value in ready.inputs)
        assert np.isfinite(waves).all()
        assert np.array_equal(np.unique(ready.example.numpy()), np.arange(200))
        assert (lengths >= 1).all()
        assert (lengths <= waves.shape[1]).all()
        assert all(why_no_clip(batch[row]) for row in np.flatnonzero(~readable))
        read += readable.sum()
    assert 500 < read < 1900


def fuzzed(rng, encoded):
    """A file with some bytes changed, mostly in its header, and perhaps cut or with more inserted."""
    changed = bytearray(encoded)
    end = min(len(changed), 80) if rng.random() < 0.8 else len(changed)
    for _ in range(rng.integers(0, 6)):
        changed[rng.integers(end)] = rng.choice([0, 1, 127, 128, 255, rng.integers(256)])
    if rng.random() < 0.2:
        place = rng.integers(len(changed))
        changed[place:place] = rng.bytes(rng.integers(1, 9))
    return bytes(changed[: rng.integers(len(changed))] if rng.random() < 0.2 else changed)


MAGIC = [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RF64\xff\xff\xff\xffWAVEdata", b"RIFF0000WAVEfmt \x10\0\0\0"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.builds(lambda a, b: a + b, st.sampled_from(MAGIC), st.binary(max_size=100)), min_size=1, max_size=8
    )
)
def test_random_bytes_never_raise(batch):
    ready = prepared(batch, window_seconds=2.0)
    assert np.isfinite(ready.inputs[0].numpy()).all()
    assert all(why_no_clip(batch[row]) for row in np.flatnonzero(~ready.readable.numpy()))


def test_config_makes_an_equal_layer():
    layer = WavePreprocessor(8000, 3.0, 40, 60, name="decode")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert again.get_config() == layer.get_config()
    assert again.identity() == layer.identity()
    assert WavePreprocessor(8000, 3.0, 41, 60).identity() != layer.identity()
    assert layer.limits == {"max_seconds": 60}


def test_functional_model_and_reload(tmp_path):
    layer = WavePreprocessor(min_samples=1000)
    examples = keras.Input((), dtype="string", name="examples")
    ready = layer(examples)
    model = keras.Model(examples, [*ready.inputs, ready.example, ready.readable])
    batch = tf.constant([*layer.recorded_examples(), ARRANGED["rf64"]()])
    expected = prepared(batch.numpy().tolist(), min_samples=1000)
    assert expected.readable.numpy().tolist() == [True] * 4 + [False, True]
    model.export(str(tmp_path / "export"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "export"))
    for found in (model(batch), loaded.serve(batch)):
        wanted = [*expected.inputs, expected.example, expected.readable]
        for value, reference in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(value, reference)


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.7])
def test_a_clip_alone_is_prepared_as_among_others(seconds):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (int(seconds * RATE), 2))
    options = {"window_seconds": 1.0, "min_samples": 4000}
    encoded = wav(noise)
    alone, among = prepared([encoded], **options), prepared([encoded, encoded], **options)
    windows = len(alone.example)
    for found, expected in zip(alone.inputs, among.inputs, strict=True):
        np.testing.assert_array_equal(found, expected[:windows])
    assert alone.example.numpy().tolist() == [0] * windows
    assert among.example.numpy().tolist() == [0] * windows + [1] * windows


def test_a_broken_clip_alone_is_silent():
    alone = prepared([b"RIFF no clip"], min_samples=100)
    assert alone.readable.numpy().tolist() == [False]
    np.testing.assert_array_equal(alone.inputs[0], np.zeros((1, 100)))
    assert [value.numpy().tolist() for value in (alone.inputs[1], alone.example)] == [[1], [0]]


@pytest.mark.parametrize("count", [1, 3])
def test_batches_whose_size_the_graph_knows(count):
    """A graph for exactly so many clips gives what a graph for any number of them gives."""
    layer = WavePreprocessor(RATE)
    clips = tf.constant([wav(tones(seconds=0.4, seed=seed)) for seed in range(count)])
    fixed = tf.function(layer.call, input_signature=[tf.TensorSpec([count], tf.string)], autograph=False)
    for found, expected in zip(
        tf.nest.flatten(fixed(clips)), tf.nest.flatten(prepared(clips.numpy().tolist())), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
