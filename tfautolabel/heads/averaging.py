"""A layer that averages the probabilities of a head with those of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfautolabel.heads.evidence import FLOOR


class Averaging(keras.layers.Layer):
    """Stands behind a head and averages it with others; what the others are is up to the subclass.

    Args:
        feature_dim: d.
        n_classes: k.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        features: (n, d) float32.
        plain: (n, k) float32, the probabilities of the head on these features.

    Returns:
        (n, k) float32, rows sum to 1.
    """

    def __init__(self, feature_dim: int, n_classes: int, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.feature_dim, self.n_classes = feature_dim, n_classes

    def _weight(self, name: str, shape: tuple[int, ...], initializer: str = "zeros") -> Any:
        return self.add_weight(shape=shape, initializer=initializer, trainable=False, name=name)

    @staticmethod
    def average(found: Sequence[Any], shares: Any, exponents: Any) -> Any:
        """Returns (n, k) the weighted mean of heads, each sharpened as in `tfautolabel.heads.evidence`.

        Args:
            found: m arrays (n, k) of probabilities.
            shares: m numbers, which sum to 1.
            exponents: (m,) > 0, by which each head's probabilities are raised.
        """
        total = 0.0
        for number, one in enumerate(found):
            raised = ops.power(ops.maximum(one, FLOOR), exponents[number])
            total = total + shares[number] * raised / ops.sum(raised, axis=-1, keepdims=True)
        return total

    def compute_output_shape(
        self,
        features_shape: tuple[int | None, ...],  # noqa: ARG002 # Keras asks with all inputs' shapes
        plain_shape: tuple[int | None, ...],
    ) -> tuple[int | None, ...]:
        """The shape of the probabilities."""
        return plain_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "feature_dim": self.feature_dim, "n_classes": self.n_classes}
