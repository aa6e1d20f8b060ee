import functools
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import PICTURES, encode, image, png
from PIL import Image, ImageOps

from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.pictures.orientation import orientations, upright

SCENE = np.zeros((48, 80, 3), np.uint8)
SCENE[:24, :40], SCENE[:24, 40:], SCENE[24:, :40] = (220, 20, 20), (20, 200, 20), (20, 20, 220)


@functools.cache
def graph():
    return tf.function(orientations).get_concrete_function(tf.TensorSpec([None], tf.string))


@functools.cache
def pixels(size=32):
    layer = ImagePreprocessor(size)
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(lambda some: layer(some).inputs[0], input_signature=signature).get_concrete_function()


def read(*encoded):
    return graph()(tf.constant(encoded)).numpy().tolist()


def directory(orientation, order="<", entries_before=0, kind=3, start=8):
    """EXIF data with one tag that counts."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    others = [struct.pack(f"{order}HHII", 0x0100 + number, 4, 1, 9) for number in range(entries_before)]
    value = struct.pack(f"{order}I", orientation) if kind == 4 else struct.pack(f"{order}HH", orientation, 0)
    tag = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value
    count = struct.pack(f"{order}H", entries_before + 1)
    padding = bytes(start - 8)
    return mark + struct.pack(f"{order}I", start) + padding + count + b"".join(others) + tag + bytes(4)


def jpeg(exif, before=()):
    """A JPEG with segments behind its beginning."""
    encoded = encode(image(), "JPEG")
    segments = [*before, (0xE1, b"Exif\0\0" + exif)]
    inserted = b"".join(
        b"\xff" + bytes([mark]) + struct.pack(">H", len(body) + 2) + body for mark, body in segments
    )
    return encoded[:2] + inserted + encoded[2:]


@pytest.mark.parametrize("fill", [1, 2, 7])
def test_fill_bytes_before_a_segment(fill):
    whole = jpeg(directory(6))
    assert read(whole[:2] + b"\xff" * fill + whole[2:]) == [6]


def test_a_png_with_the_mark_of_jpeg():
    whole = encode(image(), "PNG")
    data = b"eXIf" + b"Exif\0\0" + directory(8, ">")
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    assert read(whole[:33] + chunk + whole[33:]) == [8]


def test_a_file_of_segments_alone_ends_soon():
    assert read(b"\xff\xd8" + b"\xff\xe0\0\2" * 100_000, b"\xff\xd8" + b"\xff" * 100_000) == [1, 1]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_as_viewers_show_them(kind, orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a maker"
    encoded = encode(Image.fromarray(SCENE), kind, quality=95, exif=exif.tobytes())
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert("RGB")
    expected = np.asarray(shown.resize((32, 32), Image.Resampling.BILINEAR), float)
    found = pixels()(tf.constant([encoded, PICTURES["png-rgb"]()])).numpy()[0]
    assert np.abs(found - expected).mean() < 6
    assert read(encoded) == [orientation]


@pytest.mark.parametrize("size", [32, 63, 96], ids=["reduced", "a little larger", "enlarged"])
def test_the_turn_comes_to_the_same_before_and_after_the_square_is_made(size):
    noise = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    encoded = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        encoded.append(encode(Image.fromarray(noise), "PNG", exif=exif.tobytes()))
    found = pixels(size)(tf.constant(encoded)).numpy()
    for orientation in range(1, 9):
        turned = upright(tf.constant(found[0]), tf.constant(orientation)).numpy()
        np.testing.assert_allclose(found[orientation - 1] / 255, turned / 255, atol=1e-5)


def test_the_name_of_a_chunk_among_the_pixels_is_no_chunk():
    encoded = png(np.zeros((4, 4, 3), int), 8, 2, [(b"teXt", b"eXIf and eXIf II"), (b"eXIf", directory(3))])
    assert read(encoded, png(np.zeros((4, 4, 3), int), 8, 2, [(b"teXt", b"eXIf and eXIf II")])) == [3, 1]


def test_a_directory_is_read_as_far_as_it_goes():
    whole = directory(6, entries_before=20)
    assert read(jpeg(whole), jpeg(directory(8)), jpeg(whole[:40])) == [6, 8, 1]


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(5, 5), (4, 7)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turn_moves_pixels_and_changes_none(orientation, shape, kind):
    square = np.arange(np.prod(shape) * 3).reshape(*shape, 3).astype(kind)
    turned = upright(tf.constant(square), tf.constant(orientation)).numpy()
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(square[..., 0].astype(np.uint8))
    stored.info["exif"] = exif.tobytes()
    np.testing.assert_array_equal(turned[..., 0], np.asarray(ImageOps.exif_transpose(stored)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("before", [0, 30])
def test_the_tag_is_found_in_either_byte_order(order, kind, before):
    exif = directory(6, order, before, kind, start=26)
    comment = [(0xE0, b"JFIF\0" + bytes(9)), (0xFE, b"a comment"), (0xE2, b"ICC_PROFILE\0" + bytes(60_000))]
    assert read(jpeg(exif), jpeg(exif, comment)) == [6, 6]


def test_a_png_may_have_its_chunk_behind_the_pixels():
    encoded = png(np.random.default_rng(0).integers(0, 256, (200, 200, 3)), 8, 2)
    chunk = directory(8)
    at = encoded.index(b"IEND") - 4
    behind = encoded[:at] + struct.pack(">I", len(chunk)) + b"eXIf" + chunk + bytes(4) + encoded[at:]
    before = png(np.zeros((4, 4, 3), int), 8, 2, [(b"eXIf", directory(3, ">"))])
    assert read(behind, encoded, before) == [8, 1, 3]


def test_a_batch_of_all_kinds_keeps_its_order():
    kinds = sorted(PICTURES)
    mixed = [PICTURES[kind]() for kind in kinds]
    turned = jpeg(directory(5))
    assert read(*mixed, turned, b"", b"RIFF", b"\x89PNG", b"\xff\xd8\xff\xe1") == [1] * len(kinds) + [
        5,
        1,
        1,
        1,
        1,
    ]
    assert graph()(tf.constant([], tf.string)).shape == (0,)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_what_is_no_orientation_counts_as_upright(value):
    assert read(jpeg(directory(value))) == [1]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"\xff\xd8\xff\xe1\0\x20Exif\0\0", b"\x89PNGeXIf", b"RIFF\xff\xff\xff\xffWEBPVP8X", b""]
            ),
            st.sampled_from([b"II*\0", b"MM\0*", b"\0\0\0\x08", b""]),
            st.binary(max_size=80),
        ).map(b"".join),
        max_size=5,
    )
)
def test_damaged_data_never_fail(examples):
    found = graph()(tf.constant(examples, tf.string, [len(examples)])).numpy()
    assert found.shape == (len(examples),)
    assert ((found >= 1) & (found <= 8)).all()
