"""A Keras layer that decodes pictures to pixels. One broken picture cannot fail a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.data.picture_files import as_picture
from tfautolabel.data.readers import ReadFailure, made_ready
from tfautolabel.preprocessors.contract import (
    Outside,
    Preprocessed,
    Preprocessor,
    one_window_each,
    output_spec,
)
from tfautolabel.preprocessors.graphs import graph_of, runs_alone
from tfautolabel.preprocessors.pictures import plain_jpeg
from tfautolabel.preprocessors.pictures.beside_graph import PlainPictures
from tfautolabel.preprocessors.pictures.image_formats import decode_picture
from tfautolabel.preprocessors.pictures.orientation import orientations
from tfautolabel.preprocessors.pictures.unreadable import MAX_PIXELS

VERSION = 4
"""Increased when the same bytes would give other pixels, so that cached features are not mixed up."""
LIKE = (3,)
"""Earlier versions whose pixels differ only by rounding. What was saved with them stays valid."""


@keras.saving.register_keras_serializable("tfautolabel")
class ImagePreprocessor(Preprocessor):
    """Decodes pictures to squares of pixels.

    Args:
        size: side of the square in pixels. The whole picture is stretched to it.
        max_pixels: pictures with more pixels than this are not decoded (decompression bombs).
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, the bytes of n JPEG, PNG, GIF, BMP or WebP pictures. Outside a graph also the
            formats that `Dataset.read` converts: TIFF, HEIC, AVIF and DICOM.

    Returns:
        A `Preprocessed` with one window per picture and one input: (n, size, size, 3) float32 in [0, 255],
        zeros for a picture that could not be read.
    """

    modality = "image"

    def __init__(self, size: int, max_pixels: int = MAX_PIXELS, **options: Any) -> None:
        super().__init__(**options)
        self.size = size
        self.max_pixels = max_pixels

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        examples = tf.reshape(examples, [-1])
        if tf.executing_eagerly():
            examples = _converted(examples)
        if runs_alone(self, ImagePreprocessor):
            return graph_of(self)(examples)
        count = tf.size(examples, out_type=tf.int64)

        def decode(row: tf.Tensor, encoded: tf.Tensor, orientation: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return row, decode_picture(encoded, orientation, self.size, self.max_pixels)

        # ignore_errors drops pictures that did not decode, so each one has its row number. The blank picture
        # at the end keeps the batch from being empty, because get_single_element refuses an empty one.
        blank = tf.data.Dataset.from_tensors((count, tf.zeros([self.size, self.size, 3])))
        rows, pixels = (
            tf.data.Dataset.from_tensor_slices((tf.range(count), examples, orientations(examples)))
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
        pixels = tf.ensure_shape(pixels, [None, self.size, self.size, 3])
        return one_window_each((pixels,), tf.ensure_shape(readable, [None]))

    def outside_graph(self) -> Callable[[Sequence[bytes]], Outside | None] | None:
        """Returns what decodes plain JPEG files, if the extra `fast` is installed."""
        if type(self) is not ImagePreprocessor or not plain_jpeg.is_installed():
            return None
        return PlainPictures(self.size, self.max_pixels)

    def compute_output_spec(self, examples: keras.KerasTensor) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(keras.KerasTensor((None, self.size, self.size, 3), "float32"))

    @property
    def limits(self) -> dict[str, int]:
        """Returns the pixel limit."""
        return {"max_pixels": self.max_pixels}

    def identity(self) -> dict[str, Any]:
        """Returns the decoder's version and the side, without the limit, which decides only what is read."""
        return {"preprocessor": "image", "version": VERSION, "size": self.size}

    def reads_as(self, saved: dict[str, Any]) -> bool:
        """Returns whether the version is this one or differs only by rounding."""
        return saved.get("version") in (VERSION, *LIKE) and saved | {"version": VERSION} == self.identity()

    def recorded_examples(self) -> list[bytes]:
        """Returns pictures of several kinds, and one that cannot be read."""
        rng = np.random.default_rng(0)
        across, down = np.meshgrid(np.linspace(0, 255, 96), np.linspace(0, 255, 64))
        slope = np.stack([across, down, 255 - across], axis=-1).astype(np.uint8)
        noise = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        blocks = np.kron(rng.integers(0, 256, (4, 4, 4), dtype=np.uint8), np.ones((16, 16, 1), np.uint8))
        return [
            tf.io.encode_jpeg(slope, quality=90).numpy(),
            tf.io.encode_jpeg(blocks[..., :1], format="grayscale").numpy(),
            tf.io.encode_png(noise).numpy(),
            tf.io.encode_png(blocks).numpy(),
            tf.io.encode_png(slope[..., :1].astype(np.uint16) * 257).numpy(),
            b"this is no picture",
        ]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "size": self.size, "max_pixels": self.max_pixels}


def _converted(examples: tf.Tensor) -> tf.Tensor:
    """Converts pictures that only Python can decode to PNG. The others, and failures, stay as they are."""
    encoded = examples.numpy()
    read = [made_ready(one, as_picture) for one in encoded]
    made = [
        one if isinstance(found, ReadFailure) else found for one, found in zip(encoded, read, strict=True)
    ]
    return tf.constant(made, tf.string, examples.shape)
