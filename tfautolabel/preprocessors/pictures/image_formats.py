"""Decodes pictures to RGB pixels with TensorFlow operations only, with one function per format.

The content decides the format. Each function raises an `InvalidArgumentError` at run time for content that it
cannot read. It checks the pixel limit in the header, before it decodes any pixel.
"""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.pictures.gif import first_frame
from tfautolabel.preprocessors.pictures.orientation import UPRIGHT, upright
from tfautolabel.preprocessors.pictures.picture_bytes import number, within
from tfautolabel.preprocessors.pictures.png import decode_png
from tfautolabel.preprocessors.pictures.webp import decode_webp
from tfautolabel.preprocessors.traced_once import traced_once


def decode_picture(encoded: tf.Tensor, orientation: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Decodes one picture, turns it upright and stretches it to a square.

    Args:
        encoded: () string, the bytes of a JPEG, PNG, GIF, BMP or WebP.
        orientation: () int32 in [1, 8], how to turn the picture, see `orientations`.
        size: side of the result in pixels.
        max_pixels: the largest width times height to decode.

    Returns:
        (size, size, 3) float32 in [0, 255].
    """
    rgb, side = decode(encoded, size, max_pixels), tf.constant(size)
    square = tf.cond(
        orientation > UPRIGHT,
        # The picture is turned before or after stretching, whichever has fewer pixels. Both give the same
        # square, up to rounding.
        lambda: tf.cond(
            tf.size(rgb) <= 3 * size * size,
            lambda: _turned_then_stretched(rgb, orientation, side),
            lambda: _stretched_then_turned(rgb, orientation, side),
        ),
        lambda: stretch(rgb, side),
    )
    return tf.ensure_shape(square, [size, size, 3])


def decode(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Decodes one picture as it is stored.

    JPEG is decoded with the accurate DCT, which gives the same pixels as Pillow. A JPEG at least twice as
    large as needed is reduced during decoding (libjpeg's DCT scaling). Transparent pixels are blended with
    white. Only the first frame of an animated GIF or WebP is used.

    Args:
        encoded: () string, the bytes of a JPEG, PNG, GIF, BMP or WebP.
        size: side in pixels of the square that is needed.
        max_pixels: the largest width times height to decode.

    Returns:
        (h, w, 3) uint8.
    """
    magic = tf.strings.substr(encoded, 0, 12)

    def starts_with(prefix: bytes) -> tf.Tensor:
        return tf.equal(tf.strings.substr(magic, 0, len(prefix)), prefix)

    is_webp = tf.logical_and(starts_with(b"RIFF"), tf.equal(tf.strings.substr(encoded, 8, 4), b"WEBP"))
    most = tf.constant(max_pixels, tf.int64)
    rgb = tf.cond(
        starts_with(b"\xff\xd8\xff"),
        lambda: _decode_jpeg(encoded, most, tf.constant(size, tf.int64)),
        lambda: tf.cond(
            starts_with(b"\x89PNG\r\n\x1a\n"),
            lambda: decode_png(encoded, most),
            lambda: tf.cond(
                is_webp,
                lambda: decode_webp(encoded, most),
                lambda: tf.cond(
                    starts_with(b"BM"),
                    lambda: _decode_bmp(encoded, most),
                    lambda: _decode_gif(encoded, most),
                ),
            ),
        ),
    )
    rgb.set_shape([None, None, 3])
    return rgb


def stretch(rgb: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Resizes bilinearly. Uses the slower antialiasing filter only if plain sampling would skip pixels.

    Args:
        rgb: (h, w, 3) uint8.
        size: () int32, side of the result in pixels.

    Returns:
        (size, size, 3) float32 in [0, 255].
    """
    shape = tf.shape(rgb)[:2]

    return tf.cond(
        tf.reduce_all(tf.equal(shape, size)),
        lambda: tf.cast(rgb, tf.float32),
        lambda: tf.cond(
            tf.reduce_max(shape) > 2 * size,
            # The filter's weights do not add up to exactly one, which is visible in white pictures.
            lambda: tf.clip_by_value(tf.image.resize(rgb, [size, size], antialias=True), 0.0, 255.0),
            # Floats give the same pixels as bytes in half the time. The side bounds the memory for them.
            lambda: tf.image.resize(tf.cast(rgb, tf.float32), [size, size]),
        ),
    )


_PICTURE = tf.TensorSpec([None, None, 3], tf.uint8)
_NUMBER = tf.TensorSpec([], tf.int32)


@traced_once(_PICTURE, _NUMBER, _NUMBER)
def _turned_then_stretched(rgb: tf.Tensor, orientation: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return stretch(upright(rgb, orientation), size)


@traced_once(_PICTURE, _NUMBER, _NUMBER)
def _stretched_then_turned(rgb: tf.Tensor, orientation: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return upright(stretch(rgb, size), orientation)


@traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64))
def _decode_jpeg(encoded: tf.Tensor, max_pixels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    shape = tf.image.extract_jpeg_shape(encoded, output_type=tf.int64)
    safe = within(encoded, shape[1], shape[0], max_pixels)
    spare = tf.reduce_min(shape[:2]) // size  # how many times larger than needed the smaller side is

    def at_ratio(ratio: int) -> tf.Tensor:
        return tf.io.decode_jpeg(safe, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return tf.cond(
        spare < 2,
        lambda: at_ratio(1),
        lambda: tf.cond(
            spare < 4,
            lambda: at_ratio(2),
            lambda: tf.cond(spare < 8, lambda: at_ratio(4), lambda: at_ratio(8)),
        ),
    )


@traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64))
def _decode_bmp(encoded: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    def signed(start: int) -> tf.Tensor:
        return tf.abs(tf.cast(tf.bitcast(tf.cast(number(encoded, start, 4), tf.uint32), tf.int32), tf.int64))

    bits, compression = number(encoded, 28, 2), number(encoded, 30, 4)
    known = tf.debugging.assert_equal(
        tf.logical_or(tf.equal(compression, 0), tf.logical_and(tf.equal(compression, 3), tf.equal(bits, 32))),
        True,
        message="a compressed BMP",
    )
    with tf.control_dependencies([known] if known is not None else []):
        safe = within(encoded, signed(18), signed(22), max_pixels)

    def with_palette() -> tf.Tensor:
        start = tf.cast(14 + number(encoded, 14, 4), tf.int32)
        colours = tf.cast(number(encoded, 46, 4), tf.int32)
        colours = tf.where(tf.equal(colours, 0), 256, colours)
        palette = tf.reshape(
            tf.io.decode_raw(tf.strings.substr(encoded, start, 4 * colours), tf.uint8), [-1, 4]
        )
        indices = tf.io.decode_bmp(safe, channels=0)[..., 0]
        return tf.gather(palette[:, 2::-1], tf.cast(indices, tf.int32))

    def direct() -> tf.Tensor:
        # The fourth byte of a 32-bit BMP is usually padding and not alpha, so it is ignored.
        return tf.io.decode_bmp(safe, channels=0)[..., :3]

    return tf.cond(tf.equal(bits, 8), with_palette, direct)


@traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64))
def _decode_gif(encoded: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    is_gif = tf.debugging.assert_equal(tf.strings.substr(encoded, 0, 4), b"GIF8", message="not a picture")
    with tf.control_dependencies([is_gif] if is_gif is not None else []):
        frame = first_frame(tf.identity(encoded))
    safe = within(frame.encoded, frame.width, frame.height, max_pixels)
    rgb = tf.io.decode_image(safe, channels=3, expand_animations=False)
    rgb = tf.ensure_shape(rgb, [None, None, 3])
    high, wide = (tf.shape(rgb, tf.int64)[axis] for axis in (0, 1))
    around = [
        [frame.top, frame.height - frame.top - high],
        [frame.left, frame.width - frame.left - wide],
        [0, 0],
    ]
    # The canvas outside the frame is transparent, so it becomes white like all transparent pixels.
    return tf.pad(rgb, around, constant_values=tf.constant(255, tf.uint8))
