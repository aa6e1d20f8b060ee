"""What every head must do, whoever wrote it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def check_head(head: Any, feature_dim: int, n_classes: int) -> None:
    """Runs a head on made-up features, which tells more than its declared shapes.

    Args:
        head: from (n, feature_dim) float32 features to (n, n_classes) probabilities.
        feature_dim: d, the length of a feature vector.
        n_classes: k.

    Raises:
        TypeError: If it is no `keras.Model`.
        ValueError: If it does not take the features or does not give probabilities.
    """
    if not isinstance(head, keras.Model):
        raise TypeError(f"a head is the name of one or a keras.Model. Received: {head!r}")
    features = np.random.default_rng(0).normal(size=(2, feature_dim)).astype(np.float32)
    try:
        output = keras.ops.convert_to_numpy(head(features, training=False))
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"the head does not take features of shape (n, {feature_dim}): {error}") from error
    if output.shape != (2, n_classes):
        received = ", ".join(["n", *map(str, output.shape[1:])])
        raise ValueError(
            f"the head must give shape (n, {n_classes}), one probability a class. Received: ({received})"
        )
    if not (output.min() >= 0.0 and np.allclose(output.sum(axis=1), 1.0, atol=1e-3)):
        raise ValueError(
            "the head must give probabilities, not logits: end it in a softmax. Received: rows that sum to "
            f"{', '.join(f'{total:.3g}' for total in output.sum(axis=1))}"
        )
