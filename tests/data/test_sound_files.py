"""Compressed sound whose headers lie, which is too long, or damaged: set aside, in little memory."""

import io
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from damage import FUZZ, damaged

from tfautolabel.data import Dataset, sound_decoding
from tfautolabel.data.modality import modality_of
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.sound_files import as_wav, converted_sound
from tfautolabel.preprocessors.sounds.resample import resample

soundfile = pytest.importorskip("soundfile")


def encoded(kind, samples=None, rate=16_000, **options):
    stream = io.BytesIO()
    soundfile.write(stream, 0.5 * tones(1.0) if samples is None else samples, rate, format=kind, **options)
    return stream.getvalue()


def flac_of(frames):
    """A second of FLAC whose header declares so many samples."""
    data = bytearray(encoded("FLAC"))
    field = int.from_bytes(data[18:26], "big") & ~((1 << 36) - 1)
    data[18:26] = (field | frames).to_bytes(8, "big")
    return bytes(data)


def mp3_of(frames):
    """A second of MP3 whose first frame declares so many frames."""
    data = bytearray(encoded("MP3"))
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    data[place : place + 4] = frames.to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("data", [flac_of(2**33), flac_of(2**36 - 1), mp3_of(2**24), mp3_of(2**32 - 1)])
def test_a_header_that_declares_days_is_set_aside_in_little_memory(data):
    dataset = Dataset.from_inputs([data, encoded("FLAC")], modality="audio")
    tracemalloc.start()
    lied, sound = dataset.read([0, 1])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(lied, ReadFailure)
    assert str(lied).startswith("too long: its header declares ")
    assert len(sound) == 44 + 2 * 16_000
    assert peak < 4_000_000


def test_what_was_written_to_a_pipe_is_read_to_its_end(monkeypatch):
    assert as_wav(flac_of(0)) == as_wav(encoded("FLAC"))
    monkeypatch.setattr(sound_decoding, "MAX_SECONDS", 1)
    with pytest.raises(ReadFailure, match="too long: at most 1 seconds"):
        as_wav(flac_of(0))


def test_reasons_are_the_same_at_all_times():
    with pytest.raises(ReadFailure, match=r"^damaged CAF sound: [^<]*$"):
        as_wav(b"caff\0\1\0\0" + bytes(100))


def test_two_hours_are_read_and_more_is_not(monkeypatch):
    monkeypatch.setattr(sound_decoding, "MAX_SECONDS", 2)
    assert len(as_wav(encoded("FLAC", np.zeros(2000), 1000))) == 44 + 4000
    with pytest.raises(ReadFailure, match="declares 2 seconds, at most 2"):
        as_wav(encoded("FLAC", np.zeros(2001), 1000))
    monkeypatch.setattr(sound_decoding, "MAX_DECODED_BYTES", 3999)
    with pytest.raises(ReadFailure, match=r"too large: decoded, it has 4,000 bytes, the limit is 3,999"):
        as_wav(encoded("FLAC", np.zeros(2000), 1000))


@pytest.mark.parametrize(("kind", "channels"), [("FLAC", 2), ("FLAC", 5), ("OGG", 2), ("MP3", 2)])
def test_channels_are_mixed_block_by_block(kind, channels, monkeypatch):
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, (16_000, channels))
    data = encoded(kind, samples)
    whole = as_wav(data)
    monkeypatch.setattr(sound_decoding, "BLOCK_SAMPLES", 1000)
    assert as_wav(data) == whole
    found, rate = soundfile.read(io.BytesIO(whole))
    wanted, _ = soundfile.read(io.BytesIO(data))
    assert (found.ndim, rate) == (1, 16_000)
    np.testing.assert_allclose(found, wanted.mean(axis=1), atol=1 / 32768)


def test_samples_keep_their_width():
    exact = np.random.default_rng(0).integers(-(2**15), 2**15, 5000).astype(np.int16)
    found, _ = soundfile.read(io.BytesIO(as_wav(encoded("FLAC", exact))), dtype="int16")
    np.testing.assert_array_equal(found, exact)
    fine = np.full(100, 1 / 2**20)
    found, _ = soundfile.read(io.BytesIO(as_wav(encoded("FLAC", fine, subtype="PCM_24"))))
    np.testing.assert_array_equal(found, fine)


@pytest.mark.parametrize(
    ("kind", "options", "name"),
    [
        ("AIFF", {}, "AIFF"),
        ("AIFF", {"endian": "LITTLE"}, "AIFF"),
        ("AIFF", {"subtype": "FLOAT"}, "AIFF"),
        ("AU", {}, "AU"),
        ("AU", {"endian": "LITTLE"}, "AU"),
        ("CAF", {}, "CAF"),
        ("CAF", {"subtype": "ALAC_16"}, "CAF"),
        ("W64", {"subtype": "PCM_24"}, "W64"),
        ("WAV", {"endian": "BIG"}, "big-endian WAV"),
        ("NIST", {}, "NIST SPHERE"),
        ("VOC", {}, "VOC"),
    ],
)
def test_kinds_that_hold_what_wav_holds(kind, options, name):
    samples = 0.5 * tones(0.2, channels=2)
    data = encoded(kind, samples, **options)
    assert (converted_sound(data), modality_of(data)) == (name, "audio")
    found, rate = soundfile.read(io.BytesIO(as_wav(data)))
    assert rate == 16_000
    np.testing.assert_allclose(
        found, samples.mean(axis=1), rtol=0, atol=2 / 32768
    )  # soundfile writes 1 as 32767


@pytest.mark.parametrize("kind", ["FLAC", "AIFF"])
def test_channels_that_cancel_give_the_louder_one(kind, monkeypatch):
    monkeypatch.setattr(sound_decoding, "BLOCK_SAMPLES", 1000)
    tone = 0.5 * tones(0.5)[:, 0]
    found, _ = soundfile.read(io.BytesIO(as_wav(encoded(kind, np.stack([0.5 * tone, -tone], axis=1)))))
    np.testing.assert_allclose(found, -tone, rtol=0, atol=1 / 32768)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000])
def test_high_rates_are_lowered_while_the_file_is_decoded(rate, monkeypatch):
    samples = 0.5 * tones(0.5, rate, channels=2)
    data = encoded("FLAC", samples, rate)
    whole = as_wav(data)
    monkeypatch.setattr(sound_decoding, "BLOCK_SAMPLES", 1000)
    # Other blocks give other sums: by less than a step of 16 bits.
    found, found_rate = soundfile.read(io.BytesIO(as_wav(data)))
    assert (len(whole), found_rate) == (44 + 2 * len(found), 16_000)
    wanted = resample(tf.constant(samples.mean(axis=1), tf.float32), tf.constant(rate, tf.int64), 16_000)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1.1 / 32768)
    kept, kept_rate = soundfile.read(io.BytesIO(as_wav(data, most=48_000)))
    assert (len(kept), kept_rate) == (len(samples), rate)


def test_a_dataset_gives_the_rate_that_a_backbone_takes():
    dataset = Dataset.from_inputs([encoded("FLAC", 0.5 * tones(0.1, 48_000), 48_000)], modality="audio")
    for asked, given in ((None, 16_000), (8000, 16_000), (32_000, 32_000), (48_000, 48_000)):
        (value,) = dataset.read([0], asked)
        assert len(value) == 44 + 2 * given // 10


def test_decoding_takes_little_more_memory_than_its_result():
    data = encoded("FLAC", np.zeros((44_100 * 60, 2), np.int16), 44_100)
    as_wav(encoded("FLAC", rate=44_100))  # the filter is kept
    tracemalloc.start()
    held = len(as_wav(data))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held == 44 + 60 * 32_000
    assert peak < held + 12_000_000


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_one_file_gives_the_same_bytes_at_all_times(subtype):
    # libsndfile writes the time of day into a WAV file of floats.
    value = as_wav(encoded("FLAC", subtype=subtype))
    assert value[36:40] == b"data"
    assert value[40:44] == (len(value) - 44).to_bytes(4, "little")


@pytest.mark.parametrize(
    "kind", ["FLAC", "OGG", "MP3", "AIFF", "AU", "CAF", "W64", "NIST", "VOC", "big-endian"]
)
def test_damaged_files_are_read_or_set_aside(kind):
    options = {"endian": "BIG"} if kind == "big-endian" else {}
    whole = encoded("WAV" if options else kind, 0.5 * tones(0.05), **options)
    clips = [damaged(whole, f"{kind} {number}") for number in range(FUZZ)]
    found = Dataset.from_inputs(clips, modality="audio").read(range(FUZZ))
    read = [value for value in found if not isinstance(value, ReadFailure)]
    # Where the damage took the mark away, nothing is turned into WAV.
    assert all(value.startswith(b"RIFF") or converted_sound(value) is None for value in read)
    assert all(
        len(str(value)) < 300 and "\n" not in str(value) for value in found if isinstance(value, ReadFailure)
    )
    assert 0 < len(read) < FUZZ


def test_a_caf_file_whose_samples_go_on_to_its_end_is_read():
    whole = encoded("CAF")
    at = whole.index(b"data") + 4
    assert as_wav(whole[:at] + b"\xff" * 8 + whole[at + 8 :]) == as_wav(whole)
