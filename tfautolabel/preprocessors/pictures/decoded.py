"""Decodes pictures on the CPU and leaves the stretching to the device that the network runs on."""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.contract import Preprocessed, one_window_each
from tfautolabel.preprocessors.pictures.image_formats import decode, stretch
from tfautolabel.preprocessors.pictures.orientation import UPRIGHT, orientations, upright

MOST = 4
"""Pictures with a side of more than so many times the square's are stretched on the CPU, to bound memory."""


def decoded_pictures(examples: tf.Tensor, size: int, max_pixels: int) -> Preprocessed:
    """Decodes pictures, each in its own size.

    Args:
        examples: (n,) string, the bytes of n JPEG, PNG, GIF, BMP or WebP pictures.
        size: side in pixels of the square that the network takes.
        max_pixels: pictures with more pixels than this are not decoded.

    Returns:
        A `Preprocessed` with one window per picture and three inputs: a (n, h, w, 3) uint8 canvas, as high
        and wide as the largest picture, with each picture in its upper left corner; (n, 2) int32, the height
        and width of each picture, 0 for one without pixels there; and (n, m, size, size, 3) float32 in
        [0, 255], the squares of pictures that are too large for the canvas, and zeros for others; m is 0 if
        there are none, else 1.
    """
    examples = tf.reshape(examples, [-1])
    count = tf.size(examples, out_type=tf.int64)

    def one(row: tf.Tensor, encoded: tf.Tensor, orientation: tf.Tensor) -> tuple[tf.Tensor, ...]:
        rgb = decode(encoded, size, max_pixels)
        rgb = tf.cond(orientation > UPRIGHT, lambda: upright(rgb, orientation), lambda: rgb)
        rgb.set_shape([None, None, 3])
        shape = tf.shape(rgb)[:2]
        pixels, place, square = tf.cond(
            tf.reduce_max(shape) > MOST * size,
            lambda: (rgb[:0, :0], tf.zeros_like(shape), stretch(rgb, tf.constant(size))[None]),
            lambda: (rgb, shape, tf.zeros([0, size, size, 3])),
        )
        return row, pixels, place, tf.ensure_shape(square, [None, size, size, 3])

    # As in `ImagePreprocessor`: what did not decode is dropped, and a blank keeps the batch from being empty.
    blank = tf.data.Dataset.from_tensors(
        (count, tf.zeros([1, 1, 3], tf.uint8), tf.zeros([2], tf.int32), tf.zeros([0, size, size, 3]))
    )
    rows, canvas, sizes, squares = (
        tf.data.Dataset.from_tensor_slices((tf.range(count), examples, orientations(examples)))
        .map(one, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .ignore_errors()
        .concatenate(blank)
        .padded_batch(count + 1, padded_shapes=([], [None, None, 3], [2], [None, size, size, 3]))
        .get_single_element()
    )
    kept = rows[:-1]
    readable = tf.ensure_shape(tf.scatter_nd(kept[:, None], tf.ones_like(kept, tf.bool), [count]), [None])
    last = tf.size(kept, out_type=tf.int64)
    place = tf.tensor_scatter_nd_update(tf.fill([count], last), kept[:, None], tf.range(last))

    def in_order(value: tf.Tensor) -> tf.Tensor:
        return tf.cond(tf.reduce_all(readable), lambda: value[:-1], lambda: tf.gather(value, place))

    return one_window_each((in_order(canvas), in_order(sizes), in_order(squares)), readable)
