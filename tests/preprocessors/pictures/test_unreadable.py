import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import MAGIC, PICTURES, SIDE, animation, encode, image, pixels, png

from tfautolabel.preprocessors.pictures.unreadable import why_unreadable

FORMATS = {"jpeg": "JPEG", "png-rgb": "PNG", "gif": "GIF", "bmp-24": "BMP", "webp": "WebP"}


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        (b"", "empty file"),
        (b"\0" * 512, "not a picture: only zero bytes"),
        (b"just some words", "not a picture: text"),
        ("每张图片".encode() * 400, "not a picture: text"),
        (b"  <!DOCTYPE html><title>404</title>", "not a picture: a web page"),
        (b"<HTML>", "not a picture: a web page"),
        (b"%PDF-1.7\n", "not a picture: a PDF document"),
        (b"II*\0....", "TIFF picture, which is converted when a data set is read"),
        (b"\0\0\0\x18ftypheic....", "HEIC picture, which is converted when a data set is read"),
        (b"\x80\x81\x82\xff\xfe" * 9, "not a picture: unknown content"),
        (b"words\0words", "not a picture: unknown content"),
    ],
)
def test_other_content(encoded, reason):
    found = why_unreadable(encoded)
    assert found.startswith(reason)
    assert encoded == b"" or found.endswith("; valid are JPEG, PNG, GIF, BMP and WebP")


def test_real_tiff():
    assert "TIFF picture, which is converted" in why_unreadable(encode(image(), "TIFF"))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated(kind, share):
    encoded = PICTURES[kind]()
    assert why_unreadable(encoded[: int(len(encoded) * share)]) == f"truncated {FORMATS[kind]}"


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged(kind):
    encoded = bytearray(PICTURES[kind]())
    encoded[len(encoded) // 2 : len(encoded) // 2 + 40] = b"\0" * 40
    assert why_unreadable(bytes(encoded)) == f"damaged {FORMATS[kind]}"


@pytest.mark.parametrize(
    "kind", [*FORMATS, "webp-lossless", "webp-alpha", "jpeg-progressive", "bmp-top-down"]
)
def test_too_many_pixels(kind):
    encoded = PICTURES[kind]()
    limit = SIDE * SIDE - 1
    assert f"of {SIDE} x {SIDE}, at most {limit:,} are decoded" in why_unreadable(encoded, max_pixels=limit)
    assert "too many" not in why_unreadable(encoded, max_pixels=SIDE * SIDE)


def test_hostile_sizes():
    encoded = png(pixels(), 8, 2, width=2**32 - 1, height=2**32 - 1)
    assert why_unreadable(encoded).startswith("too many pixels: PNG of 4294967295 x 4294967295")


def test_frame_of_a_gif_counts():
    encoded = bytearray(animation("GIF"))
    encoded[6:10] = struct.pack("<HH", 2, 2)
    assert why_unreadable(bytes(encoded), max_pixels=100).startswith(
        f"too many pixels: GIF of {SIDE} x {SIDE}"
    )


def test_variants_that_are_not_read():
    assert why_unreadable(encode(image("1"), "BMP")) == "BMP with 1 bits a pixel; valid are 8, 24 and 32"
    compressed = bytearray(PICTURES["bmp-8"]())
    compressed[30] = 1
    assert why_unreadable(bytes(compressed)) == "compressed BMP; only uncompressed ones are read"


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=120), st.integers(1, 10**9))
def test_always_one_line(magic, rest, max_pixels):
    reason = why_unreadable(magic + rest, max_pixels)
    assert reason.strip()
    assert len(reason.splitlines()) == 1


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(PICTURES)), st.integers(0, 4000))
def test_cut_files_always_get_one_line(kind, end):
    reason = why_unreadable(PICTURES[kind]()[:end])
    assert reason.strip()
    assert len(reason.splitlines()) == 1


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"\xff\x4f\xff\x51\0\x2f", "a JPEG 2000 picture"),
        (b"\0\0\1\0\1\0\x10\x10", "an icon"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
    ],
)
def test_other_kinds_of_pictures_are_named(start, kind):
    assert kind in why_unreadable(start + bytes(99))
