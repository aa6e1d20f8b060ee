"""A head whose probabilities go through a correction, as one model, so that exports carry it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

_FLOOR = 1e-12


@keras.saving.register_keras_serializable("tfautolabel")
class ProbabilityScaling(keras.layers.Layer):
    """softmax(scale x log(probabilities) + bias), what `tfautolabel.trust.Calibration` computes.

    Args:
        n_classes: k.
        **options: of `keras.layers.Layer`.

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
        """The arguments that make an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "n_classes": self.n_classes}


def calibrated_head(head: keras.Model, feature_dim: int, scale: np.ndarray, bias: np.ndarray) -> keras.Model:
    """A head followed by a correction of its probabilities; the head's weights are shared.

    Args:
        head: from (n, d) features to (n, k) probabilities.
        feature_dim: d.
        scale: (k,), what each class's log-probability is multiplied by.
        bias: (k,), what is added to it.
    """
    features = keras.Input((feature_dim,), name="features")
    scaling = ProbabilityScaling(len(scale), name="calibration")
    scaling.scale.assign(scale)
    scaling.bias.assign(bias)
    return keras.Model(features, scaling(head(features)), name=head.name)
