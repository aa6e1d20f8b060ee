"""The default head: multinomial logistic regression on normalised features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import keras
import numpy as np

from tfautolabel.data.folds import content_order, stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads.normalization import PowerNormalization
from tfautolabel.heads.softmax_regression import CS, SoftmaxRegression, fit_softmax_regression

CONVEX = "lbfgs"
"""The optimizer that solves the head as a convex problem instead of by gradient steps."""


@dataclass(frozen=True, eq=False)
class Examples:
    """What the convex solver learns from, in an order that depends on the contents only.

    Attributes:
        features: (n, d) float32, before the normalization.
        class_ids: (n,) int64 in [0, k).
        weights: (n,) float32.
        folds: (n,) int64, the examples that are held out together.
        order: (n,) int64, the places of these examples in what was given.
    """

    features: np.ndarray
    class_ids: np.ndarray
    weights: np.ndarray
    folds: np.ndarray
    order: np.ndarray

    @property
    def judged(self) -> np.ndarray:
        """Which examples can be judged, (n,) bool: others of their class stay when they are held out."""
        folds_of = {
            number: len(np.unique(self.folds[self.class_ids == number]))
            for number in np.unique(self.class_ids).tolist()
        }
        return np.array([folds_of[number] > 1 for number in self.class_ids.tolist()], bool)


@keras.saving.register_keras_serializable("tfautolabel")
class LinearHead(keras.Model):
    """Maps normalised features to class probabilities with one dense layer.

    `compile()` selects the convex solver: `fit` then finds the exact minimum. Cross-validation within the
    training data chooses the strength of the L2 penalty and the temperature of the scores. Classes with few
    labels have nearly the same weight, however many labels other classes have; see `share_weights`.
    `compile(optimizer="adam")` selects ordinary Keras training, with all Keras features.

    Args:
        feature_dim: d, the length of a feature vector.
        n_classes: k.
        Cs: values of C, the inverse strength of the penalty, that cross-validation tries.
        n_folds: how many folds that cross-validation has.
        seed: determines the folds and, for gradient training, the initial weights.
        normalization: the feature normalisation, for derived heads; by default a `PowerNormalization`.
        **options: options of `keras.Model`.

    Attributes:
        out_of_fold_: (n, k) float32 after a convex fit: each example's probabilities from a model that has
            not seen it. All these models have the same penalty and the same temperature.
        C_: the chosen C.

    Call arguments:
        features: (n, d) float32.

    Returns:
        (n, k) float32, rows sum to 1.
    """

    def __init__(
        self,
        feature_dim: int,
        n_classes: int,
        Cs: Sequence[float] = CS,
        n_folds: int = 5,
        seed: int = 0,
        normalization: PowerNormalization | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.feature_dim = feature_dim
        self.n_classes = n_classes
        self.Cs = tuple(float(C) for C in Cs)
        self.n_folds = n_folds
        self.seed = seed
        self.normalization = normalization or PowerNormalization(name="normalization")
        initializer = keras.initializers.GlorotUniform(seed=seed)
        self.dense = keras.layers.Dense(
            n_classes, activation="softmax", kernel_initializer=initializer, name="probabilities"
        )
        self.dense.build((None, feature_dim))
        self.built = True
        self._convex = True

    def call(self, features: Any) -> Any:
        """See the class."""
        return self.dense(self.normalization(features))

    def compile(self, optimizer: Any = CONVEX, loss: Any = None, metrics: Any = None, **options: Any) -> None:
        """Compiles like `keras.Model.compile`; `CONVEX` ("lbfgs") is a further optimizer and the default.

        Args:
            optimizer: "lbfgs" for the convex solver, or any Keras optimizer.
            loss: sparse categorical cross-entropy by default.
            metrics: accuracy by default.
            **options: options of `keras.Model.compile`.

        Raises:
            ValueError: If another loss is given with the convex solver, which minimises cross-entropy.
        """
        self._convex = isinstance(optimizer, str) and optimizer.lower() == CONVEX
        if self._convex and loss not in (None, "sparse_categorical_crossentropy"):
            raise ValueError(
                f"the {CONVEX} optimizer minimises cross-entropy; another loss needs another optimizer, such "
                f"as 'adam'. Received: loss={loss!r}"
            )
        super().compile(
            optimizer="sgd" if self._convex else optimizer,
            loss=loss or "sparse_categorical_crossentropy",
            metrics=["accuracy"] if metrics is None else metrics,
            **options,
        )

    def get_compile_config(self) -> dict[str, Any] | None:
        """Returns the arguments of `compile`, so that a saved head is compiled in the same way again."""
        return {"optimizer": CONVEX} if self._convex else super().get_compile_config()

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as `get_compile_config` says."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    @property
    def solves_itself(self) -> bool:
        """Whether `fit` also gives out-of-fold probabilities; see `tfautolabel.heads.contract`."""
        return self._convex

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        groups: np.ndarray | None = None,
        **options: Any,
    ) -> Any:
        """Trains the head; see the class.

        Args:
            x: (n, d) float32 features, in any order; for gradient training anything that Keras accepts.
            y: (n,) integer class ids in [0, k).
            sample_weight: (n,) float32, one weight for each example.
            class_weight: class id to weight, multiplied with `sample_weight`. Without both, the convex solver
                uses `share_weights`.
            groups: (n,) int64, for the convex solver: equal for copies of one example, which are held out
                together; by default examples with equal features are copies.
            **options: options of `keras.Model.fit`; the convex solver has no epochs, batches or callbacks and
                ignores them.

        Returns:
            A `keras.callbacks.History`. After a convex fit it has one entry: loss and accuracy on the
            training data, and val_loss and val_accuracy on the held-out folds.

        Raises:
            ValueError: If shapes do not agree, a class id is out of range, or features are not finite.
        """
        if not self._convex:
            return super().fit(x, y, sample_weight=sample_weight, class_weight=class_weight, **options)
        return self._learn(self._examples(x, y, sample_weight, class_weight, groups))

    def _learn(self, examples: Examples) -> Any:
        """Solves the head; returns a `keras.callbacks.History`."""
        normalized = keras.ops.convert_to_numpy(self.normalization(examples.features))
        model = self._solved(normalized, examples)
        self.dense.set_weights([model.weights, model.bias])
        # There are always folds here, so there are out-of-fold probabilities.
        out_of_fold = cast(np.ndarray, model.out_of_fold)
        self.out_of_fold_, self.C_ = out_of_fold[np.argsort(examples.order)], model.C
        return self._history(self.dense(normalized), examples.class_ids, out_of_fold)

    def _examples(
        self, x: Any, y: Any, sample_weight: Any, class_weight: dict[int, float] | None, groups: Any
    ) -> Examples:
        """Checks what `fit` got, adapts the normalization to it, and puts it into the order for training."""
        features = np.asarray(x, np.float32)
        class_ids = np.asarray(y).astype(np.int64).reshape(-1)
        if len(features) != len(class_ids) or features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise ValueError(
                f"features have shape (n, {self.feature_dim}) and class ids shape (n,). Received: shapes "
                f"{features.shape} and {np.shape(y)}"
            )
        if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < self.n_classes):
            raise ValueError(
                f"class ids lie in [0, {self.n_classes - 1}]. Received: {np.unique(class_ids)[[0, -1]]}"
            )
        if not np.isfinite(features).all():
            raise ValueError("features must be finite. Received: features with NaN or infinity")
        if sample_weight is None and class_weight is None:
            class_weight = share_weights(class_ids, self.n_classes)
        weights = _example_weights(class_ids, sample_weight, class_weight)
        order = content_order(features, class_ids)
        features, class_ids, weights = features[order], class_ids[order], weights[order]
        groups = None if groups is None else np.asarray(groups)[order]
        self.normalization.adapt(features)
        folds = stratified_folds(class_ids, self.n_folds, self.seed, content=features, groups=groups)
        return Examples(features, class_ids, weights, folds, order)

    def _solved(self, normalized: np.ndarray, examples: Examples) -> SoftmaxRegression:
        """Fits the examples, with features that may be scaled in another way."""
        return fit_softmax_regression(
            normalized,
            examples.class_ids,
            self.n_classes,
            folds=examples.folds,
            Cs=self.Cs,
            sample_weight=examples.weights,
        )

    def _history(self, probabilities: Any, class_ids: np.ndarray, out_of_fold: np.ndarray) -> Any:
        history = keras.callbacks.History()
        history.set_model(self)
        history.on_train_begin()
        fitted = keras.ops.convert_to_numpy(probabilities)
        logs = {}
        for prefix, probabilities in (("", fitted), ("val_", out_of_fold)):
            own = probabilities[np.arange(len(class_ids)), class_ids]
            logs[f"{prefix}loss"] = float(-np.log(np.maximum(own, 1e-12)).mean())
            logs[f"{prefix}accuracy"] = float((probabilities.argmax(axis=1) == class_ids).mean())
        history.on_epoch_end(0, logs)
        return history

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LinearHead:
        """Makes a head from the result of `get_config`; heads of earlier versions call `Cs` penalties."""
        old = config.pop("penalties", None)
        return cls(**config if old is None else {**config, "Cs": old})

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal head."""
        return {
            "feature_dim": self.feature_dim,
            "n_classes": self.n_classes,
            "Cs": list(self.Cs),
            "n_folds": self.n_folds,
            "seed": self.seed,
            "name": self.name,
        }


def _example_weights(
    class_ids: np.ndarray, sample_weight: Any, class_weight: dict[int, float] | None
) -> np.ndarray:
    weights = (
        np.ones(len(class_ids), np.float32) if sample_weight is None else np.array(sample_weight, np.float32)
    )
    for class_id, weight in (class_weight or {}).items():
        weights[class_ids == class_id] *= weight
    return weights
