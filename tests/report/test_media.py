import base64
import io
import wave

import numpy as np
import pytest
from clips import A_LAW, FLOAT, tones, wav
from PIL import Image

from tfautolabel.data import Dataset
from tfautolabel.report.media import clip, read_media, snippet, thumbnail


def decoded(medium):
    return base64.b64decode(medium.content.split(",", 1)[1])


def encoded(array, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("shape", "size"), [((300, 200), (64, 96)), ((50, 500), (96, 10)), ((5, 7), (7, 5))])
def test_thumbnails_keep_their_proportions(shape, size):
    medium = thumbnail(encoded(np.full((*shape, 3), 90, np.uint8)))
    assert (medium.kind, medium.width, medium.height) == ("image", *size)
    with Image.open(io.BytesIO(decoded(medium))) as picture:
        assert (picture.format, picture.size) == ("JPEG", size)
        assert np.abs(np.asarray(picture).astype(int) - 90).max() <= 3


def test_transparency_is_laid_on_white_and_sixteen_bits_are_scaled():
    clear = np.zeros((20, 20, 4), np.uint8)
    for content, level in ((encoded(clear), 255), (encoded(np.full((20, 20), 0x8000, np.uint16)), 128)):
        with Image.open(io.BytesIO(decoded(thumbnail(content)))) as picture:
            assert np.abs(np.asarray(picture.convert("L")).astype(int) - level).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "WEBP"])
def test_other_formats_are_shown(kind):
    assert thumbnail(encoded(np.full((40, 40, 3), 200, np.uint8), kind)).width == 40


@pytest.mark.parametrize(("kind", "bits"), [(1, 8), (1, 16), (1, 24), (FLOAT, 32), (A_LAW, 8)])
def test_sounds_of_every_kind_can_be_played(kind, bits):
    content = (
        wav(content=bytes(range(256)) * 20, kind=kind, bits=bits, rate=8000)
        if kind == A_LAW
        else wav(tones(0.5, 44_100, channels=2), kind, bits, rate=44_100)
    )
    medium = clip(content, 100_000)
    with wave.open(io.BytesIO(decoded(medium))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.getnframes() == pytest.approx(16_000 * (0.64 if kind == A_LAW else 0.5), abs=2)
    assert not medium.cut


@pytest.mark.parametrize("share", [4_000, 30_000, 1_000_000])
def test_long_sounds_are_cut_to_their_share(share):
    medium = clip(wav(tones(6, 16_000)), share)
    assert medium.cut
    assert len(medium.content) <= share
    with wave.open(io.BytesIO(decoded(medium))) as file:
        assert 0.1 < file.getnframes() / file.getframerate() <= 4


def test_texts_are_cut_and_stay_text():
    assert snippet(b"a\n\n b\t<b>").content == "a b <b>"
    long = snippet(("字" * 1000).encode())
    assert (len(long.content), long.cut) == (280, True)


def test_only_what_is_shown_is_read_and_it_stays_within_the_budget():
    read = []

    class Reader:
        def __len__(self):
            return 500

        def read(self, row):
            read.append(row)
            return wav(tones(3, 16_000, seed=row))

    dataset = Dataset(Reader(), [str(row) for row in range(500)], modality="audio")
    found = read_media(dataset, [str(row) for row in range(0, 400, 10)] + ["not there"], budget=400_000)
    assert sorted(read) == list(range(0, 400, 10))
    assert "not there" not in found
    assert sum(len(medium.content) for medium in found.values()) <= 400_000
    assert all(medium.kind == "audio" for medium in found.values())


def test_what_cannot_be_decoded_is_said():
    dataset = Dataset.from_inputs([b"\x89PNG\r\n\x1a\nno"], ids=["a"], modality="image")
    assert read_media(dataset, ["a"])["a"].kind == "none"
