"""Sound and video that is not read: never taken for pictures, each with the command that converts it."""

import numpy as np
import pytest
from clips import wav
from pictures import PICTURES

from tfautolabel.data import Dataset, ReadFailure, load_dataset
from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.modality import modality_of, recognise_modality
from tfautolabel.preprocessors.reasons import why_unreadable

FOREIGN = {
    "m4a": b"\0\0\0\x1cftypM4A \0\0\2\0M4A isomiso2",
    "mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41",
    "mov": b"\0\0\0\x14ftypqt  \0\0\2\0qt  ",
    "3gp": b"\0\0\0\x14ftyp3gp4\0\0\2\x003gp4",
    "webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x84webm",
    "mkv": b"\x1aE\xdf\xa3\xa3B\x86\x81\1B\xf7\x81\1B\xf2\x81\4B\xf3\x81\x08B\x82\x88matroska",
    "wma": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "aac": b"\xff\xf1\x50\x80\x2e\x7f\xfc",
    "amr": b"#!AMR\n\x3c\x08\xe5",
    "avi": b"RIFF\x00\x10\0\0AVI LIST",
    "iff": b"FORM\0\0\0\x2c8SVXVHDR",
    "flv": b"FLV\x01\x05\0\0\0\x09",
    "mpg": b"\0\0\1\xba\x44\0\4\0",
    "ts": (b"G\x40\0\x10" + b"\xff" * 184) * 3,
    "mid": b"MThd\0\0\0\6\0\1",
    "tak": b"tBaK\1\0\0\0",
    "wv": b"wvpk\x20\0\0\0\x10\4",
}
"""By the usual ending, how files begin."""


@pytest.mark.parametrize("ending", FOREIGN)
def test_the_reason_names_the_command(ending, tmp_path):
    data = FOREIGN[ending] + bytes(300)
    assert foreign_media(data).ending == ending
    assert modality_of(data) == "audio"
    for name in "ab":
        (tmp_path / f"{name}.{ending}").write_bytes(data)
    dataset = load_dataset(tmp_path)
    assert dataset.modality == "audio"
    for value in dataset.read([0, 1]):
        assert isinstance(value, ReadFailure)
        assert f"ffmpeg -i FILE.{ending} FILE.wav" in str(value)
    assert f"ffmpeg -i FILE.{ending} FILE.wav" in why_unreadable("audio", data)
    assert "sound or video" in why_unreadable("image", data)


def test_films_among_photographs_do_not_decide():
    film, picture = FOREIGN["mov"] + bytes(300), PICTURES["jpeg"]()
    assert recognise_modality([film, film, film, picture]) == "image"
    assert recognise_modality([film, film, wav(np.zeros(100))]) == "audio"
    assert recognise_modality([film, film, b"a text"]) == "audio"
    assert recognise_modality([film, b"a text", b"another"]) == "text"


def test_a_folder_of_photographs_keeps_its_kind_whatever_films_lie_there(tmp_path):
    for row in range(3):
        (tmp_path / f"{row}.jpg").write_bytes(PICTURES["jpeg"]())
    for row in range(9):
        (tmp_path / f"film{row}.MOV").write_bytes(FOREIGN["mov"] + bytes(300))
    assert load_dataset(tmp_path).modality == "image"


@pytest.mark.parametrize(
    "data",
    [
        b"MAC and cheese",
        b"#!AMR is a mark",
        b"ADIF",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"fLaC" + bytes(50),
    ],
)
def test_what_is_something_else(data):
    assert foreign_media(data) is None


def test_beginnings_with_anything_behind_are_set_aside_and_never_raise():
    rng = np.random.default_rng(0)
    starts = [*FOREIGN.values(), b"FORM\0\0\0\0AIFF", b".snd\0\0\0\x18", b"caff\0\1\0\0", b"RIFX\0\0\0\0WAVE"]
    for turn in range(2000):
        start = starts[turn % len(starts)]
        data = start[: rng.integers(1, len(start) + 1)] + rng.bytes(rng.integers(0, 80))
        (value,) = Dataset.from_inputs([data], modality="audio").read([0])
        assert isinstance(value, (bytes, ReadFailure))
        assert modality_of(data) in ("audio", "image", "text", None)


def test_names_tell_where_the_contents_do_not(tmp_path):
    for name in ("a.gsm", "b.gsm"):
        (tmp_path / name).write_bytes(b"\xd2\x00\x01" * 99)
    assert load_dataset(tmp_path).modality == "audio"
