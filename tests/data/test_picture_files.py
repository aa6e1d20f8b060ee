import io

import numpy as np
import pytest
from damage import FUZZ, damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfautolabel import _optional
from tfautolabel.data import Dataset, load_dataset
from tfautolabel.data.modality import modality_of
from tfautolabel.data.picture_files import as_picture, converted_kind, note_of_range
from tfautolabel.data.readers import ReadFailure

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), np.uint8)


def saved(array, kind, **options):
    stream = io.BytesIO()
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opened(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)))


def picture_or_failure(encoded):
    """What reading gives, as the data set gets it."""
    try:
        return as_picture(encoded)
    except ReadFailure as failure:
        return failure


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0], RNG.integers(0, 65536, (9, 7)).astype(np.uint16)])
def test_tiff_becomes_png_without_loss(compression, pixels):
    encoded = saved(pixels, "TIFF", compression=compression)
    assert modality_of(encoded) == "image"
    np.testing.assert_array_equal(opened(as_picture(encoded)), pixels)


def test_a_tiff_stands_upright_and_its_first_page_counts():
    exif = Image.Exif()
    exif[274] = 6
    pages = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    encoded = saved(pages[0], "TIFF", exif=exif, save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(opened(as_picture(encoded)), np.rot90(RGB, -1))
    second = Dataset.from_inputs([encoded], modality="image").with_frame(2)
    np.testing.assert_array_equal(opened(second.subset([0]).read([0])[0]), np.rot90(255 - RGB, -1))


def test_numbers_of_other_kinds_are_scaled():
    shares = np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)
    for scale in (1.0, 1000.0):
        found = opened(as_picture(saved(shares * scale, "TIFF"))).astype(int)
        np.testing.assert_allclose(found, shares * 65535, atol=1)


def test_heic_and_avif_are_read():
    heif = pytest.importorskip("pillow_heif")
    flat = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    stream = io.BytesIO()
    heif.from_pillow(Image.fromarray(flat)).save(stream)
    for encoded, kind in ((stream.getvalue(), "HEIC"), (saved(flat, "AVIF", quality=95), "AVIF")):
        assert converted_kind(encoded) == kind
        assert modality_of(encoded) == "image"
        found = opened(as_picture(encoded)).astype(int)
        assert np.abs(found - flat).max() < 12


def test_a_missing_extra_names_its_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(ReadFailure, match=r'pip install "tfautolabel\[pictures\]"'):
        as_picture(b"\0\0\0\x18ftypheic" + bytes(40))
    assert _optional.MODULES["pictures"] == ("pillow_heif",)


def test_films_and_sounds_are_no_pictures():
    for brand in (b"M4A ", b"isom", b"mp42", b"qt  "):
        assert converted_kind(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + brand + b"mp41") is None


def test_other_pictures_stay_as_they_are():
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        encoded = saved(RGB, kind)
        assert as_picture(encoded) is encoded


def test_a_part_of_the_range_is_said():
    twelve = RNG.integers(0, 4096, (8, 8)).astype(np.uint16)
    assert "use 12 of them" in note_of_range([saved(RGB, "PNG"), saved(twelve, "PNG")])
    assert note_of_range([saved(RGB, "PNG"), saved(twelve * 16, "PNG"), b"\x89PNG\r\n\x1a\n"]) is None


def test_a_part_of_the_range_is_said_wherever_pictures_come_from(tmp_path):
    twelve = saved((np.arange(4096).reshape(64, 64)).astype(np.uint16), "PNG")
    (tmp_path / "a.png").write_bytes(twelve)
    (tmp_path / "t.csv").write_text("image,label\na.png,x\n")
    path = str(tmp_path / "a.png")
    for data in (tmp_path, tmp_path / "t.csv", [path], [twelve], Dataset.from_inputs([tmp_path / "a.png"])):
        notes = data.notes if isinstance(data, Dataset) else load_dataset(data).notes
        assert sum("use 12 of them" in note for note in notes) == 1


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"II*\0", b"MM\0*", b"II+\0"]), st.binary(max_size=200), st.integers(0, 700))
def test_damaged_tiff_is_set_aside_with_one_line(magic, noise, end):
    for encoded in (magic + noise, saved(RGB, "TIFF")[:end]):
        if converted_kind(encoded) is None:
            continue
        found = picture_or_failure(encoded)
        assert len(str(found).splitlines()) == 1 if isinstance(found, ReadFailure) else found[1:4] == b"PNG"


@pytest.mark.parametrize(
    "kind", ["HEIC", "AVIF", *(f"TIFF {how}" for how in ("raw", "tiff_lzw", "packbits", "jpeg"))]
)
def test_damaged_files_are_read_or_set_aside(kind):
    small = RNG.integers(0, 256, (16, 16, 3), np.uint8)
    if kind == "HEIC":
        stream = io.BytesIO()
        pytest.importorskip("pillow_heif").from_pillow(Image.fromarray(small)).save(stream)
        whole = stream.getvalue()
    else:
        how = kind.partition(" ")[2]
        whole = saved(small, kind[:4], **({"compression": how} if how else {}))
    found = [picture_or_failure(damaged(whole, f"{kind} {number}", kept=12)) for number in range(FUZZ)]
    reasons = [str(value) for value in found if isinstance(value, ReadFailure)]
    assert all(len(reason.splitlines()) == 1 for reason in reasons)
    assert all(value[1:4] == b"PNG" for value in found if not isinstance(value, ReadFailure))
    assert 0 < len(reasons) < FUZZ
