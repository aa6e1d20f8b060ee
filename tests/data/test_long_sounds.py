"""Long clips give, block by block, what the bytes of a data set would give as a whole."""

import hashlib
import io
import os

import numpy as np
import pytest
from clips import ARRANGED, DEPTHS, FLOAT, PCM, broken, tones, wav
from damage import FUZZ, damaged

from tfautolabel.data import ReadFailure, long_sounds, sound_decoding
from tfautolabel.data.long_sounds import LongConverted, LongSound, LongWav, wav_or_long
from tfautolabel.data.readers import FileReader
from tfautolabel.data.sound_files import as_wav
from tfautolabel.preprocessors.sounds.riff import decode_wav

soundfile = pytest.importorskip("soundfile")


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch):
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 0)
    monkeypatch.setattr(long_sounds, "BLOCK_SAMPLES", 1000)
    monkeypatch.setattr(sound_decoding, "BLOCK_SAMPLES", 1000)


def encoded(kind, samples, rate=16_000, **options):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, **options)
    return stream.getvalue()


def long_or_held(source):
    return wav_or_long(source, 16_000)


def long(source):
    found = long_or_held(source)
    assert isinstance(found, LongSound)
    return found


def check(source, data, exact=True):
    """What is opened is what is held, and the graph reads the same samples."""
    clip, whole = long(source), as_wav(data)
    assert (clip.key, len(clip)) == (hashlib.sha256(whole).digest(), len(whole))
    for _ in range(2):
        samples = np.concatenate(list(clip.blocks()))
        wanted = decode_wav(whole)
        assert (len(samples), clip.header.rate) == (clip.header.frames, int(wanted.rate))
        np.testing.assert_allclose(samples, wanted.samples, rtol=0, atol=0 if exact else 1e-6)
    return clip


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("depth", DEPTHS)
def test_wav_of_every_depth(depth, channels):
    data = wav(tones(0.2, channels=channels), *DEPTHS[depth])
    assert isinstance(check(data, data, exact=channels == 1), LongWav)


@pytest.mark.parametrize("kind", [6, 7])
def test_telephone_codes(kind):
    data = wav(np.zeros((256, 1)), kind, 8, content=bytes(range(256)))
    check(data, data)


@pytest.mark.parametrize("kind", ARRANGED)
def test_headers_of_every_arrangement(kind):
    data = ARRANGED[kind]()
    check(data, data)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "AIFF", "CAF"])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_converted_formats_in_memory_and_in_files(kind, rate, tmp_path):
    data = encoded(kind, 0.5 * tones(0.4, rate, channels=2), rate)
    (tmp_path / "clip").write_bytes(data)
    reader = FileReader(tmp_path, ["clip"])
    for source, held in ((data, len(data)), (lambda: reader.open(0), 0)):
        clip = check(source, data)
        assert isinstance(clip, LongConverted)
        assert clip.held == held


def test_headers_that_are_wrong_about_the_length(tmp_path):
    whole = encoded("CAF", tones(0.3))
    at = whole.index(b"data") + 4
    check(whole[:at] + b"\xff" * 8 + whole[at + 8 :], whole)
    flac = bytearray(encoded("FLAC", tones(0.3)))
    field = int.from_bytes(flac[18:26], "big") & ~((1 << 36) - 1)
    flac[18:26] = field.to_bytes(8, "big")
    (tmp_path / "flac").write_bytes(flac)
    reader = FileReader(tmp_path, ["flac"])
    check(lambda: reader.open(0), bytes(flac))
    whole = encoded("MP3", tones(1.0))
    check(whole[: len(whole) // 2], whole[: len(whole) // 2])


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_channels_that_cancel_give_the_louder_one(kind):
    tone = 0.5 * tones(0.3)[:, 0]
    data = encoded(kind, np.stack([0.5 * tone, -tone], axis=1))
    clip = check(data, data)
    np.testing.assert_allclose(np.concatenate(list(clip.blocks())), -tone, rtol=0, atol=1.1 / 32768)


@pytest.mark.parametrize("at", [100, 2500])
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_samples_that_are_no_numbers(at, value):
    samples = np.zeros(3000)
    samples[at] = value
    with pytest.raises(ReadFailure, match="WAV with samples that are no numbers"):
        list(long(wav(samples, FLOAT, 32)).blocks())


def test_short_clips_are_held(monkeypatch):
    monkeypatch.setattr(long_sounds, "LONG_SECONDS", 1)
    for data in (wav(tones(1.0), PCM, 16), encoded("FLAC", tones(1.0)), b"", b"RIFF", b"any text"):
        assert wav_or_long(data, 16_000) == as_wav(data)
    stream = bytearray(encoded("FLAC", tones(1.0)))
    stream[21:26] = bytes([stream[21] & 0xF0]) + bytes(4)  # as written to a pipe, without its length
    for source in (bytes(stream), lambda: io.BytesIO(stream)):
        assert wav_or_long(source, 16_000) == as_wav(bytes(stream))
    assert isinstance(long(wav(tones(1.1), PCM, 16)), LongWav)
    assert isinstance(long(encoded("FLAC", tones(1.1))), LongConverted)


def test_a_large_file_of_no_sound_is_not_held(monkeypatch, tmp_path):
    monkeypatch.setattr(long_sounds, "LONG_BYTES", 99)
    clip = long(b"x" * 100)
    assert (clip.header, clip.key) == (None, hashlib.sha256(b"x" * 100).digest())


def outcome(read, data):
    """The key of what is read, or the reason why nothing is."""
    try:
        value = read(data)
    except ReadFailure as failure:
        return str(failure)
    return value.key if isinstance(value, LongSound) else hashlib.sha256(value).digest()


@pytest.mark.parametrize("name", broken())
def test_what_is_wrong_is_said_in_the_same_words(name):
    data, _ = broken()[name]
    assert outcome(long_or_held, data) == outcome(as_wav, data)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3", "AIFF"])
def test_damaged_files_are_read_or_refused_alike(kind):
    whole = encoded(kind, 0.5 * tones(0.1))
    for number in range(FUZZ):
        data = damaged(whole, f"{kind} {number}")
        assert outcome(long_or_held, data) == outcome(as_wav, data), number


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_file_that_changes_is_refused(kind, tmp_path):
    path = tmp_path / "clip"
    path.write_bytes(encoded(kind, tones(0.5)))
    reader = FileReader(tmp_path, ["clip"])
    clip = long(lambda: reader.open(0))
    path.write_bytes(encoded(kind, tones(0.5, seed=1)))
    os.utime(path, (0, 0))
    with pytest.raises(ReadFailure, match="the file changed while it was read"):
        list(clip.blocks())
    path.unlink()
    with pytest.raises(ReadFailure, match="the file has gone"):
        list(clip.blocks())


def test_a_disk_that_fails_is_no_end_of_the_file():
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 5000:
                raise OSError(5, "Input/output error")
            return super().read(size)

    data = encoded("FLAC", np.random.default_rng(0).uniform(-0.5, 0.5, 40_000))
    with pytest.raises(ReadFailure, match="cannot be read: Input/output error"):
        wav_or_long(lambda: Failing(data), 16_000)
