"""Shared helpers of the picture decoders: numbers in headers, the pixel limit, alpha on white."""

from __future__ import annotations

import tensorflow as tf


def number(encoded: tf.Tensor, start: int, count: int, big_endian: bool = False) -> tf.Tensor:
    """Returns the unsigned integer in `count` bytes from `start`, as int64."""
    raw = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, start, count), tf.uint8), tf.int64)
    powers = [256**i for i in range(count)]
    return tf.reduce_sum(
        tf.ensure_shape(raw, [count]) * tf.constant(powers[::-1] if big_endian else powers, tf.int64)
    )


def within(encoded: tf.Tensor, width: tf.Tensor, height: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    """Returns `encoded` unchanged after a check that its header is within the limit."""
    checks = [
        tf.debugging.assert_positive(tf.minimum(width, height), message="a picture without pixels"),
        # Each side is also checked alone, so that a malicious header cannot overflow the product.
        tf.debugging.assert_less_equal(tf.maximum(width, height), max_pixels),
        tf.debugging.assert_less_equal(width * height, max_pixels, message="too many pixels"),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(encoded)


def lay_on_white(pixels: tf.Tensor) -> tf.Tensor:
    """Blends (h, w, 1 to 4) uint8, grey or RGB with or without alpha, with white to (h, w, 3) uint8."""

    def blend(colour: tf.Tensor, alpha: tf.Tensor) -> tf.Tensor:
        # Products of two bytes fit into 16 bits, so a large picture needs two bytes per sample, not four.
        colour, alpha = tf.cast(colour, tf.uint16), tf.cast(alpha, tf.uint16)
        white = tf.constant(255, tf.uint16)
        return tf.cast(
            (colour * alpha + white * (white - alpha) + tf.constant(127, tf.uint16)) // white, tf.uint8
        )

    def grey() -> tf.Tensor:
        return tf.image.grayscale_to_rgb(pixels[..., :1])

    def grey_alpha() -> tf.Tensor:
        return tf.image.grayscale_to_rgb(blend(pixels[..., :1], pixels[..., 1:2]))

    def rgb() -> tf.Tensor:
        return pixels[..., :3]

    def rgb_alpha() -> tf.Tensor:
        return blend(pixels[..., :3], pixels[..., 3:4])

    return tf.switch_case(tf.shape(pixels)[2] - 1, [grey, grey_alpha, rgb, rgb_alpha])
