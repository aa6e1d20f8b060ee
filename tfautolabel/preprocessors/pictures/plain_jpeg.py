"""Decodes plain JPEG files without TensorFlow, to the same pixels as the graph in less time.

Plain is what cameras and websites write: 8 bits, grey or YCbCr, baseline or progressive, complete to the last
byte (ITU T.81). All else is left to the graph: CMYK and RGB, files with Adobe's marker, other coding, damaged
files. The extra `fast` installs the decoder, libjpeg-turbo through simplejpeg.

The graph decodes with libjpeg-turbo too, and with the same settings: the accurate DCT, smooth upsampling, and
DCT scaling by 2, 4 or 8. So the pixels are the same to the bit.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import NamedTuple

import numpy as np

MODULE = "simplejpeg"

MOST_PIXELS, MOST_SIDE = 1 << 20, 1 << 12
"""The largest decoded picture that is taken, so that a thread holds few megabytes. Panoramas have more."""

_SMALLEST = 16
"""The least side of the square. Below it, different DCT scalings may give pictures of one size."""

_BEGIN, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES = (0xC0, 0xC2)
"""Baseline and progressive frames, both with Huffman coding."""
_SKIPPED = {0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)} - {0xEE}
"""Tables, comments and application segments. 0xEE is Adobe's, which may tell of colours other than YCbCr."""
_SCAN, _EXIF = 0xDA, 0xE1
_SAMPLINGS = {(luma, 0x11, 0x11) for luma in (0x11, 0x21, 0x22, 0x12, 0x41)}
"""4:4:4, 4:2:2, 4:2:0, 4:4:0 and 4:1:1."""


class PlainJpeg(NamedTuple):
    """What the header of a plain JPEG says.

    Attributes:
        height: in pixels, as stored.
        width: in pixels, as stored.
        has_exif: whether EXIF data may say that the picture is turned.
    """

    height: int
    width: int
    has_exif: bool


def is_installed() -> bool:
    """Returns whether the decoder is there."""
    return _decoder() is not None


def plain_jpeg(encoded: bytes) -> PlainJpeg | None:
    """Reads the header of a JPEG, or returns None if it is not plain or not complete.

    Args:
        encoded: the bytes of a file.
    """
    if not (encoded.startswith(_BEGIN) and encoded.endswith(_END)):
        return None
    position, size, has_exif = 2, None, False
    while position + 4 <= len(encoded) and encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == _SCAN:
            return PlainJpeg(*size, has_exif) if size is not None else None
        length = int.from_bytes(encoded[position + 2 : position + 4], "big")
        content = position + 4
        if marker in _FRAMES and size is None:
            size = _frame(encoded[content : position + 2 + length])
            if size is None:
                return None
        elif marker not in _SKIPPED or length < 2:
            return None
        elif marker == _EXIF:
            has_exif = has_exif or encoded.startswith(b"Exif", content)
        position += 2 + length
    return None


class PlainJpegDecoder:
    """Decodes plain JPEG files as `image_formats.decode` does. For one thread, because it keeps its memory.

    Args:
        size: side in pixels of the square that is needed. A picture that is at least twice as large is
            reduced during decoding.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._memory = np.empty(0, np.uint8)

    def __call__(self, encoded: bytes, header: PlainJpeg) -> np.ndarray | None:
        """Decodes one file, or returns None if it is not possible, or if anything in the file is unusual.

        Args:
            encoded: the bytes of the file.
            header: what `plain_jpeg` returned for it.

        Returns:
            (h, w, 3) uint8, as stored, not turned. They are valid until the next call.
        """
        decoder, ratio = _decoder(), _ratio(header, self._size)
        height, width = -(-header.height // ratio), -(-header.width // ratio)
        if decoder is None or self._size < _SMALLEST:
            return None
        if height * width > MOST_PIXELS or max(height, width) > MOST_SIDE:
            return None
        if self._memory.size < 3 * height * width:
            self._memory = np.empty(3 * height * width, np.uint8)
        least = {"min_height": height, "min_width": width} if ratio > 1 else {}
        try:
            # Strict: whatever makes libjpeg-turbo warn is an error.
            pixels: np.ndarray = decoder.decode_jpeg(
                encoded, "RGB", buffer=self._memory, strict=True, **least
            )
        except (ValueError, RuntimeError):  # of the file, and of a decoder that cannot be made
            return None
        return pixels if pixels.shape == (height, width, 3) else None


def _frame(content: bytes) -> tuple[int, int] | None:
    """Returns height and width from a frame header (B.2.2), or None if the frame is not plain."""
    if len(content) < 6 or content[0] != 8 or len(content) != 6 + 3 * content[5]:
        return None
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    names, samplings = content[6::3], tuple(content[7::3])
    plain = names == b"\1" if content[5] == 1 else names == b"\1\2\3" and samplings in _SAMPLINGS
    return (height, width) if plain and height and width else None


def _ratio(header: PlainJpeg, size: int) -> int:
    """Returns by how much both sides are divided; the same as in the graph."""
    spare = min(header.height, header.width) // size
    return 1 if spare < 2 else 2 if spare < 4 else 4 if spare < 8 else 8


@functools.cache
def _decoder() -> ModuleType | None:
    try:
        return importlib.import_module(MODULE)
    except ImportError:  # not installed, or not made for this machine
        return None
