"""Converts pictures that the graphs cannot decode into PNG when they are read.

Pillow reads TIFF, the extra `pictures` reads HEIC and AVIF, and the extra `medical` reads DICOM. Pixel values
do not change, but the picture is turned upright, and samples of more than 16 bits are scaled to 16.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from tfautolabel._optional import MissingExtraError, require
from tfautolabel.data.dicom_files import dicom_pixels, is_dicom, quietly
from tfautolabel.data.narrowed import narrowed
from tfautolabel.data.readers import Reader, ReadFailure, made_ready, threads_of

MAX_PIXELS = 89_478_485
"""Pillow's own limit: a quarter of a gigabyte of RGB pixels."""

DEPTHS = (8, 10, 12, 14)
"""How many of the 16 bits cameras, microscopes and X-ray detectors use, if not all."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
}
"""Brands behind `ftyp` that mean a still picture; sounds and films have other brands."""

_PNG = b"\x89PNG\r\n\x1a\n"


def converted_kind(data: bytes) -> str | None:
    r"""Returns the kind of a picture that is converted to PNG when it is read, or None.

    Args:
        data: the bytes of a file, or at least the first few hundred.

    Examples:
        >>> converted_kind(b"II*\0"), converted_kind(b"\0\0\0\x18ftypheic"), converted_kind(b"GIF89a")
        ('TIFF', 'HEIC', None)
    """
    if is_dicom(data):  # before TIFF: if a file is both, only the DICOM part is complete
        return "DICOM"
    if data.startswith(_TIFF):
        return "TIFF"
    if data[4:8] == b"ftyp":
        brands = [data[8:12], *(data[at : at + 4] for at in range(16, min(data[3], len(data)), 4))]
        named = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        # `mif1` only means a picture; a later brand names the codec.
        return "AVIF" if "AVIF" in named else next(iter(named), None)
    return None


def as_picture(data: bytes, frame: int | None = None) -> bytes:
    """Returns a picture that the graphs can decode; JPEG, PNG and everything unknown stay as they are.

    Args:
        data: the content of a file.
        frame: which of several frames, from 1; the middle one by default.

    Raises:
        ReadFailure: If it cannot be read. If a package is missing, the reason names the command that installs
            it.
    """
    kind = converted_kind(data)
    if kind is None:
        return data
    try:
        if kind == "DICOM":
            from PIL import Image

            return _png(Image.fromarray(dicom_pixels(data, frame, MAX_PIXELS)))
        return _png(_decoded(data, kind, frame))
    except MissingExtraError as error:
        raise ReadFailure(f"{kind} picture: {error}") from error


class FrameReader:
    """Gives another reader's pictures, with a chosen frame of those that have several.

    Args:
        reader: gives the bytes of the files.
        frame: from 1.

    Raises:
        ValueError: If it is less than 1.
    """

    def __init__(self, reader: Reader, frame: int):
        if frame < 1:
            raise ValueError(f"frames are numbered from 1. Received: frame={frame}")
        self._reader, self._frame = reader, frame
        self.threads = threads_of(reader)
        if hasattr(reader, "read_many"):
            self.read_many = self._read_many

    def __len__(self) -> int:
        return len(self._reader)

    def read(self, row: int) -> bytes:
        """Reads one picture; kinds that are converted become PNG."""
        return self.converted(self._reader.read(row))

    def _read_many(self, rows: np.ndarray) -> list[bytes | ReadFailure]:
        values = self._reader.read_many(rows)  # type: ignore[attr-defined]
        return [made_ready(value, self.converted) for value in values]

    def only(self, rows: np.ndarray) -> FrameReader:
        """Returns a reader of some of the pictures; see `Narrows`."""
        return FrameReader(narrowed(self._reader, rows), self._frame)

    def converted(self, data: bytes) -> bytes:
        """Returns a picture in a form that the graphs decode."""
        return as_picture(data, self._frame)


def scaled_to_bytes(samples: np.ndarray) -> np.ndarray:
    """Scales 16-bit samples to bytes; if they use only part of the range, that part is stretched.

    Args:
        samples: integers in [0, 65535].

    Returns:
        uint8 of the same shape.

    Examples:
        >>> scaled_to_bytes(np.array([0, 4095])).tolist(), scaled_to_bytes(np.array([0, 65535])).tolist()
        ([0, 255], [0, 255])
    """
    bits = _bits_used(int(samples.max(initial=0)))
    if bits is None:
        return (samples // 256).astype(np.uint8)
    return np.asarray(np.round(samples * (255.0 / (2**bits - 1))).astype(np.uint8))


def note_of_range(samples: Iterable[bytes]) -> str | None:
    """Returns a sentence about 16-bit pictures that use fewer bits, or None if there are none.

    Args:
        samples: the bytes of some examples.
    """
    from PIL import Image

    for data in samples:
        if not (data.startswith(_PNG) and len(data) > 24 and data[24] == 16):
            continue
        try:
            with Image.open(io.BytesIO(data)) as picture:
                values = np.asarray(picture)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        # For a grey picture Pillow gives the samples themselves, for others only the upper eight bits.
        bits = _bits_used(int(values.max(initial=0)) * (1 if values.ndim == 2 else 256))
        if bits is not None:
            return (
                f"pictures of 16 bits that use {bits} of them are scaled by what they use; "
                "scale them to all 16 bits to have it otherwise"
            )
    return None


def _bits_used(highest: int) -> int | None:
    """Returns how many of 16 bits hold the highest sample; None if no depth in `DEPTHS` fits."""
    return next((bits for bits in DEPTHS if 0 < highest < 2**bits), None)


def _decoded(data: bytes, kind: str, frame: int | None) -> Any:
    """Decodes a file with Pillow, in a mode that PNG supports."""
    from PIL import Image, ImageOps

    if kind == "HEIC":
        require("pillow_heif", extra="pictures").register_heif_opener()
    elif kind == "AVIF" and not _reads_avif():
        raise MissingExtraError('Pillow 11.3 is needed here: pip install "tfautolabel[pictures]"')
    try:
        with quietly(), Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ReadFailure(
                    f"too many pixels: {kind} of {picture.width} x {picture.height}, at most {MAX_PIXELS:,} "
                    "are decoded"
                )
            frames = getattr(picture, "n_frames", 1)
            if frame is not None and frames > 1:
                if frame > frames:
                    raise ReadFailure(f"there is no frame {frame}: the {kind} picture has {frames}")
                picture.seek(frame - 1)
            inverted = kind == "TIFF" and picture.mode.startswith("I;16") and _white_is_zero(picture)
            return _plain(ImageOps.exif_transpose(picture), inverted)
    except ReadFailure:
        raise
    except Image.DecompressionBombError as error:
        raise ReadFailure(f"too many pixels: {kind}, at most {MAX_PIXELS:,} are decoded") from error
    # Damaged files can raise any error in Pillow; one picture must not end a run.
    except Exception as error:
        raise ReadFailure(f"damaged {kind} picture, or one of a variant that is not read") from error


def _png(picture: Any) -> bytes:
    """Encodes a Pillow image as PNG, quickly."""
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _plain(picture: Any, inverted: bool) -> Any:
    """Returns the same pixels in a mode that PNG supports."""
    from PIL import Image

    if picture.mode in ("L", "LA", "RGB", "RGBA", "1", "P"):
        plain = picture.copy()
        plain.info = {name: value for name, value in picture.info.items() if name == "transparency"}
        return plain
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        if inverted:
            values = 65535 - values.astype(np.int64)
        return Image.fromarray(_sixteen_bits(values))
    return picture.convert("RGBA" if "A" in picture.getbands() or "a" in picture.getbands() else "RGB")


def _sixteen_bits(values: np.ndarray) -> np.ndarray:
    """Returns (h, w) numbers as uint16: 16-bit values unchanged, all others scaled by their range."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint16)
    low, high = float(values[finite].min()), float(values[finite].max())
    if np.issubdtype(values.dtype, np.integer) and low >= 0 and high < 65536:
        return values.astype(np.uint16)
    if np.issubdtype(values.dtype, np.floating) and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    shares = (np.where(finite, values, low).astype(np.float64) - low) / max(high - low, 1e-300)
    return np.round(shares * 65535).astype(np.uint16)


def _white_is_zero(picture: Any) -> bool:
    return bool(picture.tag_v2.get(262) == 0)


def _reads_avif() -> bool:
    from PIL import features

    return "avif" in features.modules and bool(features.check("avif"))
