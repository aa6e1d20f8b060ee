"""Explains why a picture could not be read, for the person who has to repair it."""

from __future__ import annotations

import contextlib
import struct

from tfautolabel.data.foreign_media import foreign_media
from tfautolabel.data.picture_files import MAX_PIXELS, converted_kind

_OTHER_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x01\x00", "an icon (ICO)"),
    (b"8BPS", "a Photoshop document"),
    (b"version https://git-lfs", "a pointer of Git LFS, and `git lfs pull` fetches the file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG document"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)
_VALID = "valid are JPEG, PNG, GIF, BMP and WebP"


def why_unreadable(encoded: bytes, max_pixels: int = MAX_PIXELS) -> str:
    """Says in one line why bytes that did not decode are not a readable picture.

    Args:
        encoded: the bytes of the file.
        max_pixels: the pixel limit of the decoder.

    Returns:
        The reason.

    Examples:
        >>> why_unreadable(b"")
        'empty file'
        >>> why_unreadable(b"%PDF-1.7")
        'not a picture: a PDF document; valid are JPEG, PNG, GIF, BMP and WebP'
    """
    if not encoded:
        return "empty file"
    if not encoded.strip(b"\0"):
        return f"not a picture: only zero bytes; {_VALID}"
    kind = _kind(encoded)
    if kind is None and (other := converted_kind(encoded)):
        return f"{other} picture, which is converted when a data set is read and not by a model; {_VALID}"
    if kind is None:
        return f"not a picture: {_other_kind(encoded)}; {_VALID}"
    size = _declared_size(encoded, kind)
    if size is not None and size[0] * size[1] > max_pixels:
        return f"too many pixels: {kind} of {size[0]} x {size[1]}, at most {max_pixels:,} are decoded"
    if kind == "BMP" and len(encoded) >= 34 and (variant := _bmp_variant(encoded)):
        return variant
    return f"truncated {kind}" if _is_cut_off(encoded, kind) else f"damaged {kind}"


def _kind(encoded: bytes) -> str | None:
    if encoded.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if encoded.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if encoded.startswith(b"GIF8"):
        return "GIF"
    if encoded.startswith(b"BM"):
        return "BMP"
    if encoded.startswith(b"RIFF") and encoded[8:12] == b"WEBP":
        return "WebP"
    return None


def _other_kind(encoded: bytes) -> str:
    head = encoded[:64].lstrip().lower()
    for magic, name in _OTHER_KINDS:
        if encoded.startswith(magic) or head.startswith(magic):
            return name
    if (foreign := foreign_media(encoded)) is not None:
        return f"sound or video ({foreign.name})"
    try:
        encoded[:1024].decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that the 1024-byte window cuts is no sign of binary content.
        if error.start < min(len(encoded), 1024) - 4:
            return "unknown content"
    return "unknown content" if b"\0" in encoded[:1024] else "text"


def _declared_size(encoded: bytes, kind: str) -> tuple[int, int] | None:
    """Returns (width, height) from the header, or None if the header is incomplete."""
    try:
        if kind == "PNG":
            return struct.unpack_from(">II", encoded, 16)
        if kind == "GIF":
            return _gif_size(encoded)
        if kind == "BMP":
            width, height = struct.unpack_from("<ii", encoded, 18)
            return abs(width), abs(height)
        return _webp_size(encoded) if kind == "WebP" else _jpeg_size(encoded)
    except (struct.error, IndexError):
        return None


def _gif_size(encoded: bytes) -> tuple[int, int]:
    """Returns the size of the canvas, enlarged if needed to contain the first frame."""
    width, height = struct.unpack_from("<HH", encoded, 6)
    position = 13 + (6 << encoded[10] % 8 if encoded[10] >= 128 else 0)
    with contextlib.suppress(struct.error, IndexError):
        while encoded[position] == 0x21:  # an extension: a label, then blocks that begin with their length
            position += 2
            while encoded[position]:
                position += 1 + encoded[position]
            position += 1
        if encoded[position] == 0x2C:
            left, top, wide, high = struct.unpack_from("<HHHH", encoded, position + 1)
            return max(width, left + wide), max(height, top + high)
    return width, height


def _webp_size(encoded: bytes) -> tuple[int, int] | None:
    chunk = encoded[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width % 2**14, height % 2**14
    if chunk == b"VP8L":
        bits = struct.unpack_from("<I", encoded, 21)[0]
        return bits % 2**14 + 1, (bits >> 14) % 2**14 + 1
    if chunk == b"VP8X":
        low = struct.unpack_from("<HBHB", encoded, 24)
        return low[0] + (low[1] << 16) + 1, low[2] + (low[3] << 16) + 1
    return None


def _jpeg_size(encoded: bytes) -> tuple[int, int] | None:
    """Reads the size in the first frame header, segment by segment (ITU T.81, B.1.1.3)."""
    position = 2
    while encoded[position] == 0xFF:
        marker = encoded[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, position + 5)
            return width, height
        position += 2 + struct.unpack_from(">H", encoded, position + 2)[0]
    return None


def _bmp_variant(encoded: bytes) -> str | None:
    """Returns what is unusual about a BMP, if its variant is not supported."""
    bits, compression = struct.unpack_from("<HI", encoded, 28)
    if bits not in (8, 24, 32):
        return f"BMP with {bits} bits a pixel; valid are 8, 24 and 32"
    if compression not in (0, 3):
        return "compressed BMP; only uncompressed ones are read"
    return None


def _is_cut_off(encoded: bytes, kind: str) -> bool:
    """Returns whether the end of the file is missing, if the format marks its end."""
    if kind == "JPEG":
        return b"\xff\xd9" not in encoded[-64:]
    if kind == "PNG":
        return b"IEND" not in encoded[-64:]
    if kind == "GIF":
        return not encoded.rstrip(b"\0").endswith(b";")
    declared_at = 4 if kind == "WebP" else 2
    if len(encoded) < declared_at + 4:
        return True
    declared = struct.unpack_from("<I", encoded, declared_at)[0] + (8 if kind == "WebP" else 0)
    return bool(declared > len(encoded))
