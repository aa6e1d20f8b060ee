"""Encoded pictures of every kind that is read, and what Pillow sees in them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

SIDE = 40


def pixels(seed=0, side=SIDE, channels=3):
    """(side, side, channels) uint8: smooth enough for JPEG, with noise enough to notice mistakes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    waves = [np.sin(5 * x + seed + i) + np.cos((3 + i) * y * x) for i in range(channels)]
    smooth = 127 + 55 * np.stack(waves, -1)
    return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)


def encode(image, kind, **options):
    """The bytes of a Pillow image."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def image(mode="RGB", seed=0, side=SIDE):
    """A Pillow image of a mode; alpha takes every value."""
    if mode == "CMYK":
        return Image.fromarray(pixels(seed, side, 4), "CMYK")
    rgb = Image.fromarray(pixels(seed, side))
    if mode in ("RGBA", "LA"):
        alpha = Image.fromarray((np.arange(side * side).reshape(side, side) % 256).astype(np.uint8))
        rgb = rgb.convert(mode[:-1])
        rgb.putalpha(alpha)
        return rgb
    return rgb.quantize(200) if mode == "P" else rgb.convert(mode)


def png(samples, bits, colour_type, chunks=(), width=None, height=None):
    """A PNG from (h, w, c) samples, for kinds that Pillow does not write; a false size can be declared."""
    high, wide, channels = samples.shape

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    if bits == 16:
        lines = samples.astype(">u2").reshape(high, -1).view(np.uint8)
    elif bits == 8:
        lines = samples.astype(np.uint8).reshape(high, -1)
    else:
        digits = (samples.reshape(high, wide * channels, 1) >> np.arange(bits - 1, -1, -1)) & 1
        lines = np.packbits(digits.reshape(high, -1).astype(np.uint8), axis=1)
    data = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    header = struct.pack(
        ">IIBBBBB",
        wide if width is None else width,
        high if height is None else height,
        bits,
        colour_type,
        0,
        0,
        0,
    )
    parts = [(b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def bmp_top_down(seed=0):
    """A BMP whose rows come from the top, which a negative height says."""
    encoded = bytearray(encode(image(seed=seed), "BMP"))
    encoded[22:26] = struct.pack("<i", -SIDE)
    encoded[54:] = np.frombuffer(bytes(encoded[54:]), np.uint8).reshape(SIDE, -1)[::-1].tobytes()
    return bytes(encoded)


def animation(kind, frames=3, mode="RGB"):
    """Several frames in one file."""
    first, *others = (image(mode, seed) for seed in range(frames))
    return encode(first, kind, save_all=True, append_images=others, duration=50)


def _deep(channels):
    return (pixels(2, channels=channels).astype(np.uint16) << 8) + 77


_PALETTE = np.random.default_rng(5).integers(0, 256, (16, 3), np.uint8)
_FEW = np.random.default_rng(6).integers(0, 16, (SIDE, SIDE, 1))
_ALPHA_OF_SIXTEEN = bytes(range(0, 256, 32))

PICTURES = {
    "jpeg": lambda: encode(image(), "JPEG", quality=90),
    "jpeg-444": lambda: encode(image(), "JPEG", quality=95, subsampling=0),
    "jpeg-grey": lambda: encode(image("L"), "JPEG"),
    "jpeg-progressive": lambda: encode(image(), "JPEG", progressive=True),
    "jpeg-cmyk": lambda: encode(image("CMYK"), "JPEG"),
    "png-rgb": lambda: encode(image(), "PNG"),
    "png-grey": lambda: encode(image("L"), "PNG"),
    "png-one-bit": lambda: encode(image("1"), "PNG"),
    "png-palette": lambda: encode(image("P"), "PNG"),
    "png-palette-transparent": lambda: encode(image("P"), "PNG", transparency=bytes(range(200))),
    "png-palette-4-bit": lambda: png(_FEW, 4, 3, [(b"PLTE", _PALETTE.tobytes())]),
    "png-palette-4-bit-transparent": lambda: png(
        _FEW, 4, 3, [(b"PLTE", _PALETTE.tobytes()), (b"tRNS", _ALPHA_OF_SIXTEEN)]
    ),
    "png-grey-4-bit": lambda: png(_FEW, 4, 0),
    "png-rgba": lambda: encode(image("RGBA"), "PNG"),
    "png-grey-alpha": lambda: encode(image("LA"), "PNG"),
    "png-grey-transparent-shade": lambda: encode(image("L"), "PNG", transparency=120),
    "png-rgb-transparent-colour": lambda: encode(image(), "PNG", transparency=tuple(pixels()[3, 4].tolist())),
    "png-rgb-16-bit": lambda: png(_deep(3), 16, 2),
    "png-rgba-16-bit": lambda: png(_deep(4), 16, 6),
    "gif": lambda: encode(image("P"), "GIF"),
    "gif-transparent": lambda: encode(
        image("P"), "GIF", transparency=int(np.asarray(image("P"))[3, 4]), optimize=False
    ),
    "gif-interlaced": lambda: encode(image("P"), "GIF", interlace=1),
    "gif-animated": lambda: animation("GIF"),
    "bmp-24": lambda: encode(image(), "BMP"),
    "bmp-top-down": lambda: bmp_top_down(),
    "bmp-32": lambda: encode(image("RGBA"), "BMP"),
    "bmp-8": lambda: encode(image("P"), "BMP"),
    "bmp-grey": lambda: encode(image("L"), "BMP"),
    "webp": lambda: encode(image(), "WEBP", quality=80),
    "webp-lossless": lambda: encode(image(), "WEBP", lossless=True),
    "webp-alpha": lambda: encode(image("RGBA"), "WEBP", quality=80),
    "webp-lossless-alpha": lambda: encode(image("RGBA"), "WEBP", lossless=True, exact=True),
}
"""Name to a function that gives the bytes of a SIDE x SIDE picture."""


def seen_by_pillow(encoded):
    """(h, w, 3) uint8: the first frame as Pillow decodes it, alpha laid on white."""
    with Image.open(io.BytesIO(encoded)) as opened:
        opened.seek(0)
        if not opened.has_transparency_data:
            return np.asarray(opened.convert("RGB"))
        rgba = np.asarray(opened.convert("RGBA")).astype(np.uint32)
    alpha = rgba[..., 3:]
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"RIFF0000WEBPVP8X",
    b"RIFF0000WEBPVP8 ",
    b"RIFF0000WEBPVP8L",
]
"""How files of each format begin, and nothing at all."""
