"""Pools the rows of a text's tokens to one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.networks.shapes import Shape

POOLINGS = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
"""The names of sentence-transformers (Reimers and Gurevych 2019, arXiv 1908.10084)."""


@keras.saving.register_keras_serializable("tfautolabel")
class TokenPooling(layers.Layer):
    """Gives one vector per text. With several poolings, their vectors are concatenated.

    Args:
        poolings: some of `POOLINGS`: the mean over the tokens, special ones included; the first token's row;
            the maximum of each column; the sum divided by the root of the number of tokens; the mean weighted
            by 1, 2, 3, …; the last token's row.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, l, d) float32.
        tokens: (w, l) int32, -1 after a text's end.

    Returns:
        (w, d * number of poolings) float32.

    Raises:
        ValueError: If a pooling is unknown or there is none.
    """

    def __init__(self, poolings: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        unknown = [pooling for pooling in poolings if pooling not in POOLINGS]
        if unknown or not poolings:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}. Received: {list(poolings)}")
        self.poolings = list(poolings)

    def call(self, rows: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.concat([self._pooled(rows, tokens, pooling) for pooling in self.poolings], axis=1)

    def _pooled(self, rows: tf.Tensor, tokens: tf.Tensor, pooling: str) -> tf.Tensor:
        if pooling == "cls":
            return rows[:, 0]
        real = tf.cast(tokens >= 0, rows.dtype)[..., None]
        if pooling == "max":
            return tf.reduce_max(tf.where(real > 0, rows, rows.dtype.min), axis=1)
        if pooling == "weightedmean":
            real *= tf.range(1.0, tf.cast(tf.shape(rows)[1] + 1, rows.dtype))[:, None]
        count = tf.maximum(tf.reduce_sum(real, axis=1), 1.0)
        if pooling == "lasttoken":
            last = tf.cast(count[:, 0], tf.int32) - 1
            return tf.gather(rows, last, batch_dims=1)
        return tf.reduce_sum(rows * real, axis=1) / (tf.sqrt(count) if "sqrt" in pooling else count)

    def compute_output_shape(self, rows_shape: Any, tokens_shape: Any) -> Any:  # noqa: ARG002
        """Returns (w, d * number of poolings)."""
        return (rows_shape[0], rows_shape[-1] * len(self.poolings))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "poolings": self.poolings}


@keras.saving.register_keras_serializable("tfautolabel")
class UnitLength(layers.Layer):
    """Scales vectors to unit length.

    Call arguments:
        vectors: (w, d) float32.

    Returns:
        (w, d) float32 of length 1.
    """

    def call(self, vectors: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-24)

    def compute_output_shape(self, vectors_shape: Shape) -> Shape:
        """Returns (w, d)."""
        return vectors_shape
