"""Stretches decoded pictures to squares on the device, in floats, as the preprocessor does on the CPU."""

from __future__ import annotations

import tensorflow as tf


def stretched(canvas: tf.Tensor, sizes: tf.Tensor, squares: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes pictures of different sizes, bilinearly, antialiased where plain sampling would skip pixels.

    A resize along one axis is a product with a matrix of weights, so any mixture of sizes is two products.

    Args:
        canvas: (n, h, w, 3) uint8, see `decoded_pictures`.
        sizes: (n, 2) int32, the height and width of each picture; 0 for one that has a square already.
        squares: (n, 0 or 1, size, size, 3) float32.
        size: side of the result in pixels.

    Returns:
        (n, size, size, 3) float32 in [0, 255], those of `ImagePreprocessor` up to rounding.
    """
    smooth = tf.reduce_max(sizes, axis=1) > 2 * size
    high, wide = (_weights(sizes[:, axis], tf.shape(canvas)[axis + 1], size, smooth) for axis in (0, 1))
    rows = tf.einsum("nih,nhwc->niwc", high, tf.cast(canvas, tf.float32))
    pixels = tf.clip_by_value(tf.einsum("njw,niwc->nijc", wide, rows), 0.0, 255.0)
    # The axis has length 0 if no picture has a square, and the sum is zeros then.
    return pixels + tf.reduce_sum(squares, axis=1)


def _weights(lengths: tf.Tensor, most: tf.Tensor, size: int, smooth: tf.Tensor) -> tf.Tensor:
    """Returns (n, size, most) float32: how much each source pixel counts for each pixel of the result."""
    scale = tf.cast(lengths, tf.float32)[:, None, None] / size
    reach = tf.where(smooth[:, None, None], tf.maximum(scale, 1.0), 1.0)
    centre = (tf.range(size, dtype=tf.float32)[:, None] + 0.5) * scale
    place = tf.range(most)
    distance = tf.abs(tf.cast(place, tf.float32) + 0.5 - centre) / reach
    inside = place < lengths[:, None, None]
    weights = tf.where(inside, tf.maximum(1.0 - distance, 0.0), 0.0)
    return tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
