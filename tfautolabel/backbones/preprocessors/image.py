"""A Keras layer from encoded pictures to pixels, in which one broken picture cannot fail a batch."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfautolabel.backbones.preprocessors.image_formats import decode_picture
from tfautolabel.backbones.preprocessors.unreadable import MAX_PIXELS

VERSION = 1
"""Raised when the same bytes would give other pixels, so that cached features are not mixed up."""


@keras.saving.register_keras_serializable("tfautolabel")
class ImagePreprocessor(keras.layers.Layer):
    """Encoded pictures to squares of pixels.

    Args:
        size: side of the square in pixels; the whole picture is stretched to it.
        max_pixels: pictures with more pixels than this are not decoded (decompression bombs).
        **options: of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, the bytes of n JPEG, PNG, GIF, BMP or still WebP pictures.

    Returns:
        (n, size, size, 3) float32 in [0, 255], zeros where a picture could not be read; and (n,) bool, which
        ones were read.
    """

    def __init__(self, size: int, max_pixels: int = MAX_PIXELS, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.size = size
        self.max_pixels = max_pixels
        self.built = True

    def call(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        examples = tf.reshape(examples, [-1])
        count = tf.size(examples, out_type=tf.int64)

        def decode(row: tf.Tensor, encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return row, decode_picture(encoded, self.size, self.max_pixels)

        # ignore_errors drops what did not decode, so every picture carries its row. The blank at the end
        # keeps the batch from being empty, which get_single_element would refuse.
        blank = tf.data.Dataset.from_tensors((count, tf.zeros([self.size, self.size, 3])))
        rows, pixels = (
            tf.data.Dataset.from_tensor_slices((tf.range(count), examples))
            .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            .ignore_errors()
            .concatenate(blank)
            .batch(count + 1)
            .get_single_element()
        )
        rows, pixels = rows[:-1], pixels[:-1]
        readable = tf.scatter_nd(rows[:, None], tf.ones_like(rows, tf.bool), [count])
        pixels = tf.cond(
            tf.reduce_all(readable),
            lambda: pixels,
            lambda: tf.scatter_nd(rows[:, None], pixels, [count, self.size, self.size, 3]),
        )
        return tf.ensure_shape(pixels, [None, self.size, self.size, 3]), tf.ensure_shape(readable, [None])

    def compute_output_spec(self, examples: Any) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Shapes and types of the two results."""
        batch = examples.shape[0]
        return (
            keras.KerasTensor((batch, self.size, self.size, 3), "float32"),
            keras.KerasTensor((batch,), "bool"),
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "size": self.size, "max_pixels": self.max_pixels}
