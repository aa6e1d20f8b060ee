"""Decodes PNG to RGB pixels with TensorFlow operations only. The format: https://www.w3.org/TR/png-3/."""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.data.picture_files import DEPTHS
from tfautolabel.preprocessors.pictures.picture_bytes import lay_on_white, number, within
from tfautolabel.preprocessors.traced_once import traced_once

_HEAD = 4096
"""In most files, the pixels begin within so many bytes. Only a large profile or text comes before them."""


@traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64))
def decode_png(encoded: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    """Decodes one PNG. 16-bit samples that use only a part of their range are scaled by that part.

    Args:
        encoded: () string, the bytes of a PNG.
        max_pixels: () int64, the largest width times height to decode.

    Returns:
        (h, w, 3) uint8.
    """
    width, height = number(encoded, 16, 4, big_endian=True), number(encoded, 20, 4, big_endian=True)
    safe = within(encoded, width, height, max_pixels)
    # Grey or RGB may have one transparent colour. Only channels=4 turns that colour into alpha. In all other
    # cases channels=0 is right: with fewer than 8 bits per sample, channels=4 would give a wrong alpha.
    colour_type = number(encoded, 25, 1)
    before_pixels = _before_pixels(encoded)
    has_transparent_colour = tf.logical_and(
        tf.logical_or(tf.equal(colour_type, 0), tf.equal(colour_type, 2)),
        tf.size(tf.strings.split(before_pixels, "tRNS")) > 1,
    )

    def shallow() -> tf.Tensor:
        return tf.cond(
            has_transparent_colour,
            lambda: tf.io.decode_png(safe, channels=4),
            lambda: tf.io.decode_png(safe, channels=0),
        )

    def deep() -> tf.Tensor:
        return _to_bytes(
            tf.io.decode_png(safe, channels=4, dtype=tf.uint16), _significant_bits(before_pixels)
        )

    return lay_on_white(tf.cond(tf.equal(number(encoded, 24, 1), 16), deep, shallow))


def _before_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the bytes before the first chunk of pixels, () string. It copies few files as a whole."""
    parts = tf.strings.split(tf.strings.substr(encoded, 0, _HEAD), "IDAT", maxsplit=1)
    return tf.cond(
        tf.size(parts) > 1, lambda: parts[0], lambda: tf.strings.split(encoded, "IDAT", maxsplit=1)[0]
    )


def _significant_bits(before_pixels: tf.Tensor) -> tf.Tensor:
    """Returns the significant bits of the first channel from the chunk sBIT, () int32, or 0 without one."""
    behind = tf.strings.split(tf.strings.join([before_pixels, b"sBIT\0"]), "sBIT", maxsplit=1)[1]
    return tf.cast(tf.io.decode_raw(behind, tf.uint8)[0], tf.int32)


def _to_bytes(pixels: tf.Tensor, significant: tf.Tensor) -> tf.Tensor:
    """Converts (h, w, 4) uint16 to uint8. Scales colours and alpha each by the part of the range they use."""
    colours, alpha = pixels[..., :3], pixels[..., 3:]
    return tf.concat([_scaled(colours, significant), _scaled(alpha, tf.constant(0))], axis=-1)


def _scaled(samples: tf.Tensor, significant: tf.Tensor) -> tf.Tensor:
    highest = tf.cast(tf.reduce_max(samples), tf.int32)
    # By the standard, samples with fewer significant bits are still scaled up to 16 bits. Writers that do not
    # scale them stay below the limit of that number of bits.
    usual = tf.where(significant > 0, 0, [2**bits - 1 for bits in DEPTHS])
    tops = tf.concat([[2 ** tf.minimum(significant, 16) - 1], usual], axis=0)
    top = tf.reduce_min(tf.where((tops >= highest) & (highest > 0), tops, 2**16 - 1))
    # The upper byte is what libpng gives for 8 bits.
    upper = tf.cast(samples // tf.constant(256, tf.uint16), tf.uint8)
    by_range = tf.round(tf.cast(samples, tf.float32) * (255.0 / tf.cast(top, tf.float32)))
    return tf.where(top >= 2**16 - 1, upper, tf.cast(by_range, tf.uint8))
