"""A head with one hidden layer, for tasks whose classes are not a linear function of the features."""

from __future__ import annotations

import keras

from tfautolabel.heads.normalization import PowerNormalization


def mlp_head(
    feature_dim: int, n_classes: int, seed: int = 0, hidden: int = 256, dropout: float = 0.3
) -> keras.Model:
    """Returns a head with normalised features, a hidden layer with dropout, and softmax.

    Args:
        feature_dim: d.
        n_classes: k.
        seed: determines the initial weights and the dropout.
        hidden: how many units the hidden layer has.
        dropout: the share of units that is dropped in training, in [0, 1).

    Returns:
        A model from (n, d) float32 features to (n, k) probabilities, compiled with Adam.
    """

    def initializer(offset: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=seed + offset)

    features = keras.Input((feature_dim,), name="features")
    x = PowerNormalization(name="normalization")(features)
    # Rows of length one have tiny entries; with unit variance, usual initial weights and step sizes fit.
    x = keras.layers.Rescaling(float(feature_dim) ** 0.5, name="unit_variance")(x)
    x = keras.layers.Dense(hidden, activation="gelu", kernel_initializer=initializer(0), name="hidden")(x)
    x = keras.layers.Dropout(dropout, seed=seed, name="dropout")(x)
    x = keras.layers.Dense(n_classes, "softmax", kernel_initializer=initializer(1), name="probabilities")(x)
    model = keras.Model(features, x, name="mlp_head")
    model.compile(keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
