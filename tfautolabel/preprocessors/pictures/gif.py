"""Extracts the first frame of a GIF with TensorFlow operations only.

`tf.io.decode_gif` decodes every frame, whatever size it declares. It shows transparent pixels in a colour
that should never be visible. So before any pixel is decoded, the first frame is extracted as a separate GIF
and its transparent colour is set to white. The format: https://www.w3.org/Graphics/GIF/spec-gif89a.txt
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9
_WHITE = b"\xff\xff\xff"


class FirstFrame(NamedTuple):
    """One frame as a separate GIF, and its position on the canvas.

    Attributes:
        encoded: () string, a GIF that holds only that frame and has its size.
        left: () int64, columns of the canvas to the left of the frame.
        top: () int64, rows of the canvas above the frame.
        width: () int64, of the whole canvas.
        height: () int64, of the whole canvas.
    """

    encoded: tf.Tensor
    left: tf.Tensor
    top: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor


def first_frame(encoded: tf.Tensor) -> FirstFrame:
    """Extracts the first frame. Raises an `InvalidArgumentError` at run time if it is not a complete one.

    Args:
        encoded: () string, the bytes of a GIF.
    """
    data = tf.io.decode_raw(encoded, tf.uint8)

    def byte(position: tf.Tensor | int) -> tf.Tensor:
        # A gather outside the data fails. This detects a truncated file.
        return tf.cast(tf.gather(data, position), tf.int64)

    def short(position: tf.Tensor | int) -> tf.Tensor:
        return byte(position) + 256 * byte(position + 1)

    def bytes_between(start: tf.Tensor | int, end: tf.Tensor | int) -> tf.Tensor:
        start, end = tf.cast(start, tf.int64), tf.cast(end, tf.int64)
        return tf.strings.substr(encoded, start, end - start)

    def table_bytes(flags: tf.Tensor) -> tf.Tensor:
        """Returns the length of the colour table that a descriptor's flags declare."""
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8), 0)

    def after_blocks(position: tf.Tensor) -> tf.Tensor:
        """Returns the position after a chain of data blocks. Each begins with its length, and 0 ends it."""
        (last,) = tf.while_loop(lambda p: byte(p) > 0, lambda p: (p + 1 + byte(p),), (position,))
        return last + 1

    def skip(position: tf.Tensor, transparent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Skips one extension. The graphic control extension says which colour is transparent."""
        says = tf.logical_and(tf.equal(byte(position + 1), _GRAPHIC_CONTROL), byte(position + 3) % 2 > 0)
        return after_blocks(position + 2), tf.where(says, byte(position + 6), transparent)

    global_bytes = table_bytes(byte(10))
    image, transparent = tf.while_loop(
        lambda position, _: tf.equal(byte(position), _EXTENSION),
        skip,
        (13 + global_bytes, tf.constant(-1, tf.int64)),
    )
    found = tf.debugging.assert_equal(byte(image), tf.constant(_IMAGE, tf.int64), "a GIF without a frame")
    with tf.control_dependencies([found] if found is not None else []):
        left, top, wide, high = (short(image + offset) for offset in (1, 3, 5, 7))
    table = image + 10
    pixels = table + table_bytes(byte(image + 9))

    def with_white(start: tf.Tensor | int, end: tf.Tensor) -> tf.Tensor:
        """Returns a colour table whose transparent colour is white."""
        colour = start + 3 * transparent
        return tf.cond(
            tf.logical_and(transparent >= 0, colour + 3 <= end),
            lambda: tf.strings.join([bytes_between(start, colour), _WHITE, bytes_between(colour + 3, end)]),
            lambda: bytes_between(start, end),
        )

    frame_size = bytes_between(image + 5, image + 9)
    frame = [
        *(bytes_between(0, 6), frame_size, bytes_between(10, 13)),
        with_white(tf.constant(13, tf.int64), 13 + global_bytes),
        *(b"\x2c\0\0\0\0", frame_size, bytes_between(image + 9, table)),
        with_white(table, pixels),
        *(bytes_between(pixels, after_blocks(pixels + 1)), b";"),
    ]
    width, height = tf.maximum(short(6), left + wide), tf.maximum(short(8), top + high)
    return FirstFrame(tf.strings.join(frame), left, top, width, height)
