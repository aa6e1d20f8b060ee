import io
import sys

import numpy as np
import pytest
from clips import tones
from pictures import PICTURES

from tfautolabel.data import Dataset, ReadFailure, load_dataset
from tfautolabel.data.encoded_text import as_text
from tfautolabel.data.modality import modality_of, recognise_modality, telling_part
from tfautolabel.data.sound_files import as_wav, converted_sound
from tfautolabel.preprocessors.sounds.wave import wav_bytes


@pytest.mark.parametrize("kind", ["jpeg", "png-rgba", "gif", "webp"])
def test_pictures(kind):
    assert modality_of(PICTURES[kind]()) == "image"


@pytest.mark.parametrize(
    "text", ["BMW drives well", "ID3 is a tag", "RIFFRAFF", "你好", "a\tb\r\n", "GIF89a", "x"]
)
def test_texts_that_begin_like_files(text):
    assert modality_of(text.encode()) == ("audio" if text == "RIFFRAFF" else "text")


def test_a_character_cut_at_the_end_of_what_is_looked_at():
    assert modality_of(("a" * 4095 + "é").encode()) == "text"
    assert modality_of(b"a" * 4000 + b"\xff" + b"a" * 100) is None


def test_most_decide():
    text, sound = b"It was late.", wav_bytes(np.zeros(10), 8000)
    assert modality_of(sound) == "audio"
    assert recognise_modality([text, sound, b"\x00", sound]) == "audio"
    assert recognise_modality([b"", b"\x00"]) is None


def compressed(kind, samples, rate=16_000):
    soundfile = pytest.importorskip("soundfile")
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_compressed_sound_is_read_as_wav(kind, tmp_path):
    samples = 0.5 * tones(1.0)
    data = compressed(kind, samples)
    assert (converted_sound(data), modality_of(data)) == (kind, "audio")
    (tmp_path / "clip.x").write_bytes(data)
    (tmp_path / "cut.x").write_bytes(data[: len(data) // 40])
    (value,) = load_dataset(tmp_path, modality="audio").subset(np.array([0])).read([0])
    soundfile = pytest.importorskip("soundfile")
    again, rate = soundfile.read(io.BytesIO(value))
    assert rate == 16_000
    middle = slice(2000, 12_000)
    found, wanted = again.reshape(-1)[middle], samples[:, 0][middle]
    # MP3 delays by some samples: the spectra are compared.
    spectra = [np.abs(np.fft.rfft(wave)) for wave in (found, wanted)]
    assert np.corrcoef(*spectra)[0, 1] > 0.99
    if kind == "FLAC":
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_damaged_compressed_sound_is_set_aside_with_its_kind():
    (value,) = Dataset.from_inputs([b"fLaC" + bytes(100)], modality="audio").read([0])
    assert isinstance(value, ReadFailure)
    assert str(value).startswith("damaged FLAC sound: ")


def test_without_soundfile_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ReadFailure, match=r'FLAC sound: .*pip install "tfautolabel\[audio\]"'):
        as_wav(b"fLaC" + bytes(100))
    assert as_wav(b"RIFF....") == b"RIFF...."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"gr\xfcn", "UTF-8"),
        ("wide".encode("utf-16"), "UTF-16"),
        ("wide".encode("utf-32"), "UTF-32"),
    ],
)
def test_texts_that_are_not_utf8_are_failures(data, message):
    with pytest.raises(ReadFailure, match=message):
        as_text(data)
    values = Dataset.from_inputs([data, b"\xef\xbb\xbffine"], modality="text").read([0, 1])
    assert isinstance(values[0], ReadFailure)
    assert values[1] == b"fine"


def test_of_long_sound_the_beginning_is_kept_and_of_pictures_all():
    sound, picture = b"fLaC" + bytes(300_000), PICTURES["png-grey"]() + bytes(300_000)
    assert telling_part(sound) == sound[: 1 << 16]
    assert telling_part(picture) == picture
    assert modality_of(telling_part(sound)) == "audio"
