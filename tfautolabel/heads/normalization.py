"""Power and L2 normalisation of features, the same in training and in a served model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

SQUARE_ROOT = 0.5
SMALL = 1e-6  # keeps the root's slope finite at zero, for training through this layer


_LEAST_SQUARE = 1e-14  # of a row's length


def unit_rows(features: Any) -> Any:
    """Scales rows to length one; a row of zeros stays a row of zeros.

    `keras.ops.normalize` gives the same values, but its gradient for a row of zeros is NaN.

    Args:
        features: (n, d) float32.

    Returns:
        (n, d) float32.
    """
    squares = ops.sum(ops.square(features), axis=-1, keepdims=True)
    return features * ops.rsqrt(ops.maximum(squares, _LEAST_SQUARE))


@keras.saving.register_keras_serializable("tfautolabel")
class PowerNormalization(keras.layers.Layer):
    """Raises the features' magnitudes to a power, then scales each row to length one.

    The square root reduces the few large values of averaged activations (Perronnin, Sánchez and Mensink,
    Improving the Fisher Kernel for Large-Scale Image Classification, ECCV 2010). `adapt` chooses it for
    features that are never negative. It leaves signed features, such as text embeddings, unchanged.

    Call arguments:
        features: (n, d) float32.

    Returns:
        (n, d) float32, rows of length one.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.power = self.add_weight(shape=(), initializer="ones", trainable=False, name="power")
        self.built = True

    def adapt(self, features: np.ndarray) -> None:
        """Chooses the power from (n, d) training features."""
        self.power.assign(SQUARE_ROOT if np.min(features) >= 0.0 else 1.0)

    def call(self, features: Any) -> Any:
        """See the class."""
        raised = ops.sign(features) * ops.power(ops.abs(features) + SMALL, self.power)
        return unit_rows(raised)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape does not change."""
        return input_shape
