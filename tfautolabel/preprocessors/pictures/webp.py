"""Decodes WebP to RGB pixels with TensorFlow operations only. Only an animation's first frame is used.

The container: https://developers.google.com/speed/webp/docs/riff_container
"""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.pictures.orientation import webp_chunk
from tfautolabel.preprocessors.pictures.picture_bytes import lay_on_white, number, within
from tfautolabel.preprocessors.traced_once import traced_once

_ANIMATED, _ALPHA = 0x02, 0x10


@traced_once(tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64))
def decode_webp(encoded: tf.Tensor, max_pixels: tf.Tensor) -> tf.Tensor:
    """Decodes one WebP.

    Args:
        encoded: () string, the bytes of a WebP.
        max_pixels: () int64, the largest width times height to decode.

    Returns:
        (h, w, 3) uint8.
    """
    chunk = tf.strings.substr(encoded, 12, 4)

    def lossy() -> tuple[tf.Tensor, tf.Tensor]:
        return number(encoded, 26, 2) % 2**14, number(encoded, 28, 2) % 2**14

    def lossless() -> tuple[tf.Tensor, tf.Tensor]:
        bits = number(encoded, 21, 4)
        return bits % 2**14 + 1, bits // 2**14 % 2**14 + 1

    def extended() -> tuple[tf.Tensor, tf.Tensor]:
        return number(encoded, 24, 3) + 1, number(encoded, 27, 3) + 1

    width, height = tf.cond(
        tf.equal(chunk, b"VP8 "), lossy, lambda: tf.cond(tf.equal(chunk, b"VP8L"), lossless, extended)
    )
    whole = within(encoded, width, height, max_pixels)
    is_animated = tf.equal(chunk, b"VP8X") & tf.equal(number(encoded, 20, 1) // _ANIMATED % 2, 1)
    nothing = tf.zeros([4], tf.int64)
    picture, around = tf.cond(
        is_animated, lambda: _first_frame(whole, width, height), lambda: (whole, nothing)
    )
    rgb = lay_on_white(tf.image.decode_webp(picture, channels=0)[0])
    # The canvas outside a frame is transparent, so it becomes white like all transparent pixels.
    edges = tf.concat([tf.reshape(around, [2, 2]), nothing[None, :2]], axis=0)
    return tf.pad(tf.ensure_shape(rgb, [None, None, 3]), edges, constant_values=tf.constant(255, tf.uint8))


def _first_frame(encoded: tf.Tensor, width: tf.Tensor, height: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the first frame as a separate picture.

    TensorFlow 2.21 writes past its buffer for an animation without alpha, so it is never given one.

    Returns:
        () string, a still WebP, and (4,) int64, the pixels of the canvas above, below, left and right of it.
    """
    frame = webp_chunk(encoded, b"ANMF")
    left, top = 2 * number(encoded, frame + 8, 3), 2 * number(encoded, frame + 11, 3)
    wide, high = number(encoded, frame + 14, 3) + 1, number(encoded, frame + 17, 3) + 1
    content = tf.strings.substr(encoded, frame + 24, tf.cast(number(encoded, frame + 4, 4), tf.int32) - 16)
    header = [b"VP8X\x0a\0\0\0", bytes([_ALPHA]), b"\0\0\0", tf.strings.substr(encoded, frame + 14, 6)]
    length = tf.cast(tf.strings.length(content) + 22, tf.uint32)
    picture = tf.strings.join([b"RIFF", _little_endian(length), b"WEBP", *header, content])
    around = tf.stack([top, height - top - high, left, width - left - wide])
    inside = tf.debugging.assert_non_negative(around, message="a frame outside its canvas")
    with tf.control_dependencies([inside] if inside is not None else []):
        return tf.identity(picture), around


def _little_endian(value: tf.Tensor) -> tf.Tensor:
    """Returns a () uint32 as a () string of four bytes."""
    codes = tf.constant([bytes([code]) for code in range(256)])
    return tf.strings.reduce_join(tf.gather(codes, tf.cast(tf.bitcast(value, tf.uint8), tf.int32)))
