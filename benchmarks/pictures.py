"""Real pictures written anew in every format that the package reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def _sixteen_bits(picture: Image.Image) -> bytes:
    grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    return encode(Image.fromarray(grey), "PNG")


FORMATS: dict[str, tuple[str, Callable[[Image.Image], bytes]]] = {
    "jpeg": ("jpg", lambda picture: encode(picture.convert("RGB"), "JPEG", quality=90)),
    "jpeg-progressive": ("jpg", lambda picture: encode(picture.convert("RGB"), "JPEG", progressive=True)),
    "jpeg-grey": ("jpeg", lambda picture: encode(picture.convert("L"), "JPEG")),
    "jpeg-cmyk": ("jpg", lambda picture: encode(picture.convert("CMYK"), "JPEG")),
    "png": ("png", lambda picture: encode(picture.convert("RGB"), "PNG")),
    "png-alpha": ("png", lambda picture: encode(picture.convert("RGBA"), "PNG")),
    "png-palette": ("png", lambda picture: encode(picture.convert("RGB").quantize(128), "PNG")),
    "png-16-bit": ("png", _sixteen_bits),
    "gif": ("gif", lambda picture: encode(picture.convert("RGB").quantize(128), "GIF")),
    "bmp": ("bmp", lambda picture: encode(picture.convert("RGB"), "BMP")),
    "webp": ("webp", lambda picture: encode(picture.convert("RGB"), "WEBP", quality=80)),
    "webp-alpha": ("webp", lambda picture: encode(picture.convert("RGBA"), "WEBP", lossless=True)),
}
"""Name to the ending of its files and a function that encodes a picture so."""


def write_in_all_formats(originals: Sequence[Path], folder: Path, count: int) -> list[str]:
    """Writes `count` of the originals into a folder, in the formats in turn.

    Args:
        originals: files that Pillow reads; they begin again when there are too few.
        folder: made if it is not there.
        count: how many files to write.

    Returns:
        The format of each file, in the order of the files' names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = list(FORMATS)
    written = []
    for number in range(count):
        name = names[number % len(names)]
        ending, write = FORMATS[name]
        with Image.open(originals[number % len(originals)]) as picture:
            (folder / f"{number:04d}-{name}.{ending}").write_bytes(write(picture))
        written.append(name)
    return written
