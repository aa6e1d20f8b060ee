import io
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
from damage import FUZZ, damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tfautolabel.data.modality import modality_of
from tfautolabel.data.picture_files import as_picture, converted_kind
from tfautolabel.data.readers import ReadFailure

pydicom = pytest.importorskip("pydicom")
FILES = Path(pydicom.__file__).parent / "data" / "test_files"
PLAIN = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
]
NAME = "Doe^Jane Unmistakable"


def shown(encoded, frame=None):
    return np.asarray(Image.open(io.BytesIO(as_picture(encoded, frame))))


def picture_or_failure(encoded):
    """What reading gives, as the data set gets it."""
    try:
        return as_picture(encoded)
    except ReadFailure as failure:
        return failure


def saved(file):
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, file, enforce_file_format=True)
    return stream.getvalue()


def made(stored, kind="MONOCHROME2", **tags):
    """A file of (f, h, w) uint16 samples."""
    file = pydicom.dcmread(FILES / "MR_small.dcm")
    for tag in ("WindowCenter", "WindowWidth", "PixelPaddingValue", "SmallestImagePixelValue"):
        if tag in file:
            del file[tag]
    file.PatientName = NAME
    file.PhotometricInterpretation, file.PixelRepresentation = kind, 0
    file.BitsStored, file.HighBit = 12, 11
    file.NumberOfFrames, file.Rows, file.Columns = stored.shape
    file.PixelData = stored.astype("<u2").tobytes()
    for tag, value in tags.items():
        setattr(file, tag, value)
    return saved(file)


RAMP = np.arange(4096, dtype=np.uint16).reshape(1, 64, 64)


@pytest.mark.parametrize("name", PLAIN)
def test_values_are_pydicoms_own(name):
    encoded = (FILES / name).read_bytes()
    assert modality_of(encoded) == "image"
    file = pydicom.dcmread(FILES / name, force=True)
    values = pydicom.pixels.apply_modality_lut(pydicom.pixels.pixel_array(FILES / name), file)
    if "WindowCenter" in file:
        values = pydicom.pixels.apply_voi_lut(values, file)
    found = shown(encoded)
    # Brighter in the file is brighter in the picture, from black to white.
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()
    assert found.shape == values.shape
    assert found.max() - found.min() > 150


@pytest.mark.parametrize("implicit", [True, False])
def test_files_without_a_header_are_read(implicit):
    file = pydicom.dcmread(FILES / "MR_small.dcm")
    bare = pydicom.Dataset(file)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, bare, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert stream.getvalue()[128:132] != b"DICM"
    np.testing.assert_array_equal(shown(stream.getvalue()), shown((FILES / "MR_small.dcm").read_bytes()))


def test_a_window_shows_what_lies_in_it():
    found = shown(made(RAMP, WindowCenter=1024, WindowWidth=1024, RescaleSlope=1, RescaleIntercept=0)).ravel()
    assert (found[:510] == 0).all()
    assert (found[1540:] == 255).all()
    np.testing.assert_allclose(found[1024], 128, atol=1)


def test_without_a_window_nearly_all_values_are_shown():
    outlier = RAMP // 16
    outlier[0, 0, 0] = 4095
    found = shown(made(outlier))
    assert found.min() == 0
    assert found.max() == 255
    np.testing.assert_allclose(np.median(found), 127, atol=3)


def test_monochrome1_is_inverted():
    np.testing.assert_array_equal(shown(made(RAMP)), 255 - shown(made(RAMP, "MONOCHROME1")))


def test_of_many_frames_the_middle_one_is_shown_unless_another_is_asked_for():
    frames = np.stack([RAMP[0] // 2, RAMP[0].T.copy(), RAMP[0, ::-1].copy()])
    encoded = made(frames)
    np.testing.assert_array_equal(shown(encoded), shown(made(frames[1:2])))
    np.testing.assert_array_equal(shown(encoded, 3), shown(made(frames[2:])))
    with pytest.raises(ReadFailure, match="there is no frame 4: the DICOM picture has 3"):
        as_picture(encoded, 4)


@pytest.mark.parametrize("name", ["SC_rgb_rle.dcm", "examples_ybr_color.dcm", "SC_rgb_small_odd.dcm"])
def test_colours_are_rgb(name):
    file = pydicom.dcmread(FILES / name)
    middle = int(file.get("NumberOfFrames", 1)) // 2
    expected = pydicom.pixels.pixel_array(file, index=middle)
    np.testing.assert_array_equal(shown((FILES / name).read_bytes()), expected)


def test_palettes_are_looked_up():
    file = pydicom.dcmread(FILES / "examples_palette.dcm")
    expected = pydicom.pixels.apply_color_lut(pydicom.pixels.pixel_array(file), file)
    np.testing.assert_array_equal(shown((FILES / "examples_palette.dcm").read_bytes()), expected >> 8)


@pytest.mark.packaged
def test_every_file_of_the_package_is_read_or_set_aside_and_no_tag_leaks(caplog):
    read = 0
    for path in sorted(FILES.rglob("*")):
        encoded = path.read_bytes() if path.is_file() else b""
        if converted_kind(encoded) != "DICOM":
            continue
        with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
            found = picture_or_failure(encoded)
        read += not isinstance(found, ReadFailure)
        assert len(str(found).splitlines()) == 1 if isinstance(found, ReadFailure) else found[1:4] == b"PNG"
        assert not warned
    assert read >= 85


def test_no_name_of_a_patient_gets_out():
    for encoded in (made(RAMP), made(RAMP, NumberOfFrames=3), made(RAMP)[:4000]):
        found = picture_or_failure(encoded)
        assert NAME not in str(found)
        assert NAME.encode() not in (b"" if isinstance(found, ReadFailure) else found)
        assert not isinstance(found, ReadFailure) or found.__cause__ is None


def test_what_holds_no_picture_says_so():
    with pytest.raises(ReadFailure, match="DICOM file without a picture"):
        as_picture((FILES / "reportsi.dcm").read_bytes())


def test_a_huge_picture_is_not_decoded():
    with pytest.raises(ReadFailure, match="too many pixels: DICOM of 60000 x 60000"):
        as_picture(made(RAMP, Rows=60000, Columns=60000))


WHOLE = (FILES / "CT_small.dcm").read_bytes()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 6000), st.binary(max_size=8))
def test_damaged_files_are_set_aside(end, at, noise):
    encoded = (WHOLE[:at] + noise + WHOLE[at + len(noise) :])[:end]
    if converted_kind(encoded) == "DICOM":
        found = picture_or_failure(encoded)
        assert len(str(found).splitlines()) == 1 if isinstance(found, ReadFailure) else found[1:4] == b"PNG"


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "MR_small_RLE.dcm", "SC_rgb_small_odd.dcm", "examples_palette.dcm"]
)
def test_damaged_copies_are_read_or_set_aside(name):
    whole = (FILES / name).read_bytes()[:20_000]
    found = [picture_or_failure(damaged(whole, f"{name} {number}", kept=132)) for number in range(FUZZ)]
    reasons = [str(value) for value in found if isinstance(value, ReadFailure)]
    assert all(len(reason.splitlines()) == 1 for reason in reasons)
    assert all(value[1:4] == b"PNG" for value in found if not isinstance(value, ReadFailure))
    assert reasons
