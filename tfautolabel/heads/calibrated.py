"""Joins a head and the correction of its probabilities into one model, so that exports contain both."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_FLOOR = 1e-12


@keras.saving.register_keras_serializable("tfautolabel")
class ProbabilityScaling(keras.layers.Layer):
    """Computes softmax(scale x log(probabilities) + bias), like `tfautolabel.trust.Calibration`.

    Args:
        n_classes: k.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        probabilities: (n, k) float32, rows sum to 1.

    Returns:
        (n, k) float32, rows sum to 1.
    """

    def __init__(self, n_classes: int, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.n_classes = n_classes
        self.scale = self.add_weight(shape=(n_classes,), initializer="ones", trainable=False, name="scale")
        self.bias = self.add_weight(shape=(n_classes,), initializer="zeros", trainable=False, name="bias")
        self.built = True

    def call(self, probabilities: Any) -> Any:
        """See the class."""
        return ops.softmax(self.scale * ops.log(ops.maximum(probabilities, _FLOOR)) + self.bias, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape does not change."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "n_classes": self.n_classes}


def calibrated_head(head: keras.Model, feature_dim: int, scale: np.ndarray, bias: np.ndarray) -> keras.Model:
    """Returns a head followed by a correction of its probabilities; it shares the head's weights.

    Args:
        head: from (n, d) features to (n, k) probabilities.
        feature_dim: d.
        scale: (k,), the factor of each class's log-probability.
        bias: (k,), added after the multiplication.
    """
    features = keras.Input((feature_dim,), name="features")
    return keras.Model(features, calibration(scale, bias)(head(features)), name=head.name)


def calibration(scale: np.ndarray, bias: np.ndarray) -> ProbabilityScaling:
    """Returns the layer that calibrates (n, k) probabilities.

    Args:
        scale: (k,), the factor of each class's log-probability.
        bias: (k,), added after the multiplication.
    """
    scaling = ProbabilityScaling(len(scale), name="calibration")
    scaling.scale.assign(scale)
    scaling.bias.assign(bias)
    return scaling
