"""The objective of a search: cross-validation judges a head by examples that it has not seen."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np

from tfautolabel.data.folds import stratified_folds, twin_numbers
from tfautolabel.heads.contract import check_head, is_self_solving
from tfautolabel.training.feature_transfer import (
    BATCH_SIZE,
    EPOCHS,
    adapt_normalization,
    predict_held_out,
    train_head,
    untrained_copy,
)
from tfautolabel.training.fine_tune import calibrated_loss
from tfautolabel.tuning.fold_training import predict_folds
from tfautolabel.tuning.hypermodel import EPOCHS_NAME

OBJECTIVE = "val_loss"
"""Log loss in nats after temperature scaling; keras-tuner knows to minimise this Keras name."""
ACCURACY = "val_accuracy"

MANY = 500
"""From so many examples on, three folds are enough: with more held-out examples, luck matters less."""


@dataclass(frozen=True, eq=False)
class TuningData:
    """The data that heads are trained and judged on.

    Attributes:
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        n_classes: k.
        n_folds: how many folds the cross-validation has.
        class_weight: class id to weight; None for 1 each.
        seed: determines the folds and the order of the batches.
    """

    features: np.ndarray
    class_ids: np.ndarray
    n_classes: int
    n_folds: int
    class_weight: dict[int, float] | None
    seed: int


def default_folds(n_examples: int) -> int:
    """Returns five folds, or three if there are many examples."""
    return 3 if n_examples >= MANY else 5


def losses_of(probabilities: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Returns (n,) the log loss of each held-out example in nats; see `calibrated_loss`.

    Raises:
        ValueError: If a probability is not finite.
    """
    if not np.isfinite(probabilities).all():
        raise ValueError("the head must give finite probabilities. Received: NaN or infinity, so it diverged")
    return calibrated_loss(probabilities, class_ids)


def metrics_of(probabilities: np.ndarray, class_ids: np.ndarray) -> dict[str, float]:
    """Returns objective and accuracy of (n, k) out-of-fold probabilities."""
    return {
        OBJECTIVE: float(losses_of(probabilities, class_ids).mean()),
        ACCURACY: float((probabilities.argmax(axis=1) == class_ids).mean()),
    }


class CrossValidated(keras_tuner.HyperModel):
    """Wraps a hypermodel; its `fit` cross-validates the heads that the inner one builds.

    Args:
        inner: builds the heads: a `keras_tuner.HyperModel`, or a function of the hyperparameters.
        data: the data that the heads are judged on.
    """

    def __init__(self, inner: Any, data: TuningData) -> None:
        super().__init__()
        self.inner, self.data = inner, data
        self._build_inner: Callable[[Any], Any] = getattr(inner, "build", inner)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Builds a head with the inner hypermodel.

        Raises:
            TypeError: If the head is not a `keras.Model`.
            ValueError: If the head does not map features to probabilities, or is not compiled.
        """
        head = self._build_inner(hp)
        if not is_self_solving(head):
            check_head(head, self.data.features.shape[1], self.data.n_classes)
        if not getattr(head, "compiled", False):
            raise ValueError("a hypermodel must compile the heads that it builds. Received: one not compiled")
        return head

    def declare_hyperparameters(self, hp: keras_tuner.HyperParameters) -> None:
        """Declares the hyperparameters of the inner hypermodel."""
        if hasattr(self.inner, "declare_hyperparameters"):
            self.inner.declare_hyperparameters(hp)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *_: Any, **__: Any
    ) -> dict[str, float]:
        """Cross-validates a head from `build`; ignores what a tuner adds for a single training."""
        return metrics_of(self.out_of_fold(hp, model), self.data.class_ids)

    def fit_options(self, hp: keras_tuner.HyperParameters) -> dict[str, Any]:
        """Returns the options of `keras.Model.fit` for the hyperparameters."""
        if hasattr(self.inner, "fit_options"):
            return dict(self.inner.fit_options(hp))
        return {"epochs": int(hp.values[EPOCHS_NAME])} if EPOCHS_NAME in hp.values else {}

    def out_of_fold(
        self, hp: keras_tuner.HyperParameters, head: keras.Model, seed: int | None = None
    ) -> np.ndarray:
        """Returns (n, k) each example's probabilities from the head trained on the other folds."""
        options = self.fit_options(hp)
        if hasattr(self.inner, "fit") and _overrides_fit(self.inner):
            return _by_own_fit(self.inner, hp, head, self.data, options, seed)
        return cross_validate(head, self.data, options, seed)


def cross_validate(
    head: keras.Model, data: TuningData, fit_options: dict[str, Any] | None = None, seed: int | None = None
) -> np.ndarray:
    """Returns each example's probabilities from the head trained on the other folds.

    Args:
        head: compiled and untrained.
        data: the examples.
        fit_options: epochs and batch_size, for a head that is trained step by step.
        seed: determines the folds; by default the seed of the data.

    Returns:
        (n, k) float32.
    """
    seed = data.seed if seed is None else seed
    if is_self_solving(head):
        copy = type(head).from_config(head.get_config() | {"n_folds": data.n_folds, "seed": seed})
        copy.compile_from_config(head.get_compile_config())
        training = train_head(copy, data.features, data.class_ids, class_weight=data.class_weight)
        return training.out_of_fold
    adapt_normalization(head, data.features)
    options = {"epochs": EPOCHS, "batch_size": BATCH_SIZE} | (fit_options or {})
    return predict_folds(
        untrained_copy(head, data.features),
        data.features,
        data.class_ids,
        stratified_folds(data.class_ids, data.n_folds, seed, groups=twin_numbers(data.features)),
        class_weight=data.class_weight,
        seed=seed,
        **options,
    )


def _overrides_fit(hypermodel: Any) -> bool:
    return type(hypermodel).fit is not keras_tuner.HyperModel.fit


def _by_own_fit(
    inner: Any, hp: Any, head: keras.Model, data: TuningData, options: dict[str, Any], seed: int | None
) -> np.ndarray:
    """Like `cross_validate`, but the hypermodel's own `fit` trains each fold."""
    adapt_normalization(head, data.features)
    seed = data.seed if seed is None else seed
    folds = stratified_folds(data.class_ids, data.n_folds, seed, groups=twin_numbers(data.features))
    taken = inspect.signature(inner.fit).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        options = {"verbose": 0, "class_weight": data.class_weight, **options}
    else:
        options = {}
    head(data.features[:1])
    return predict_held_out(
        head,
        data.features,
        folds,
        lambda rows: inner.fit(hp, head, data.features[rows], data.class_ids[rows], **options),
    )
