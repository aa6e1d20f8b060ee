"""The heads that a search tries: linear ones, and networks of up to three hidden layers."""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from tfautolabel.heads import ScaledLinearHead
from tfautolabel.heads.scaled import SCALINGS, FeatureScaling

WIDTHS = (32, 64, 128, 256)
HIDDEN_NORMALISATIONS = ("none", "layer", "batch")
EPOCHS = 40
_STEPS = 400
_LARGEST_BATCH = 64
EPOCHS_NAME = "tuner/epochs"
"""The hyperparameter with which Hyperband says how long to train."""


class HeadHyperModel(keras_tuner.HyperModel):
    """A keras-tuner search space with all heads that can be tuned.

    A linear head is solved exactly; the search tunes its regularisation and the scaling of the features. A
    network is trained by AdamW; the search also tunes its width, depth, dropout, normalisation, weight decay,
    learning rate and the strength of noise on the features (augmentation in feature space). A linear head has
    no such noise, because it would only be one more penalty on the weights.

    Args:
        feature_dim: d.
        n_classes: k.
        n_examples: how many examples there are to learn from; determines batch size and epochs.
        kinds: which kinds to try, from "linear" and "mlp".
        seed: determines initial weights, dropout, noise and folds.

    Raises:
        ValueError: If a kind is unknown.
    """

    def __init__(
        self,
        feature_dim: int,
        n_classes: int,
        n_examples: int,
        *,
        kinds: tuple[str, ...] = ("linear", "mlp"),
        seed: int = 0,
    ) -> None:
        super().__init__(name="head")
        if not kinds or set(kinds) - {"linear", "mlp"}:
            raise ValueError(f"kinds are among linear and mlp, at least one. Received: kinds={kinds!r}")
        self.feature_dim, self.n_classes, self.n_examples = feature_dim, n_classes, n_examples
        self.kinds, self.seed = tuple(kinds), seed

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds a compiled head.

        Args:
            hp: the `keras_tuner.HyperParameters`; the space is declared in them.

        Returns:
            A model from (n, d) float32 features to (n, k) probabilities.
        """
        kind = hp.Choice("kind", list(self.kinds))
        scaling = hp.Choice("scaling", list(SCALINGS), default="power")
        with hp.conditional_scope("kind", ["linear"]):
            C = hp.Float("C", 0.5, 512.0, sampling="log", default=16.0)
        with hp.conditional_scope("kind", ["mlp"]):
            network = {
                "depth": hp.Int("depth", 0, 3, default=1),
                "width": hp.Choice("width", list(WIDTHS), default=128),
                "dropout": hp.Float("dropout", 0.0, 0.6, step=0.1, default=0.3),
                "normalisation": hp.Choice("normalisation", list(HIDDEN_NORMALISATIONS)),
                "noise": hp.Float("noise", 0.0, 1.0, step=0.1),
                "weight_decay": hp.Float("weight_decay", 1e-4, 1.0, sampling="log", default=1e-2),
                "learning_rate": hp.Float("learning_rate", 2e-4, 1e-2, sampling="log", default=1e-3),
            }
        if kind == "linear":
            head = ScaledLinearHead(
                self.feature_dim, self.n_classes, scaling, Cs=(C,), seed=self.seed,
                name="linear_head",
            )  # fmt: skip
            head.compile()
            return head
        return self._network(scaling, **network)

    def fit_options(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Returns options of `keras.Model.fit` to train a head of this space; none for a linear head."""
        if hp.get("kind") == "linear":
            return {}
        batch_size = min(max(8, self.n_examples // 8), _LARGEST_BATCH, self.n_examples)
        # With more examples, each is seen fewer times: the number of steps matters.
        usual = min(EPOCHS, max(12, round(_STEPS * batch_size / self.n_examples)))
        return {"epochs": int(hp.values.get(EPOCHS_NAME, usual)), "batch_size": batch_size}

    def _network(
        self,
        scaling: str,
        depth: int,
        width: int,
        dropout: float,
        normalisation: str,
        noise: float,
        weight_decay: float,
        learning_rate: float,
    ) -> keras.Model:
        def seed_of(part: int) -> int:
            return self.seed * 101 + part

        features = keras.Input((self.feature_dim,), name="features")
        x = FeatureScaling(scaling, self.feature_dim, name="normalization")(features)
        # Rows of length one have tiny entries; with unit variance, usual initial weights and step sizes fit.
        x = keras.layers.Rescaling(float(self.feature_dim) ** 0.5, name="unit_variance")(x)
        if noise:
            x = keras.layers.GaussianNoise(noise, seed=seed_of(0), name="noise")(x)
        for layer in range(depth):
            initializer = keras.initializers.GlorotUniform(seed_of(10 + layer))
            x = keras.layers.Dense(width, kernel_initializer=initializer, name=f"hidden_{layer}")(x)
            if normalisation == "layer":
                x = keras.layers.LayerNormalization(name=f"layer_norm_{layer}")(x)
            elif normalisation == "batch":
                x = keras.layers.BatchNormalization(momentum=0.9, name=f"batch_norm_{layer}")(x)
            x = keras.layers.Activation("gelu", name=f"gelu_{layer}")(x)
            if dropout:
                x = keras.layers.Dropout(dropout, seed=seed_of(20 + layer), name=f"dropout_{layer}")(x)
        if dropout and not depth:
            x = keras.layers.Dropout(dropout, seed=seed_of(20), name="dropout")(x)
        initializer = keras.initializers.GlorotUniform(seed_of(1))
        x = keras.layers.Dense(
            self.n_classes, "softmax", kernel_initializer=initializer, name="probabilities"
        )(x)
        model = keras.Model(features, x, name="tuned_head")
        model.compile(
            keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        return model
