"""Feature transfer: the backbone stays frozen, and a head learns on its features."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.data.folds import content_order, stratified_folds, twin_numbers
from tfautolabel.heads.contract import is_self_solving, learns_from_pool
from tfautolabel.heads.normalization import PowerNormalization
from tfautolabel.training.first_state import FirstState

EPOCHS = 60
BATCH_SIZE = 32
_DEFAULTS: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "verbose": 0}


@dataclass(frozen=True, eq=False)
class HeadTraining:
    """The results of training a head, besides the head.

    Attributes:
        history: the `keras.callbacks.History` of the training on all examples.
        out_of_fold: (n, k) float32, each example's probabilities from a head that has not seen it.
        n_folds: how many such heads there were.
    """

    history: Any
    out_of_fold: np.ndarray
    n_folds: int


def train_head(
    head: keras.Model,
    features: np.ndarray,
    class_ids: np.ndarray,
    *,
    class_weight: dict[int, float] | None = None,
    n_folds: int = 5,
    seed: int = 0,
    groups: np.ndarray | None = None,
    pool: np.ndarray | None = None,
    **fit_options: Any,
) -> HeadTraining:
    """Trains a head on all examples, and by cross-validation predicts each one without having seen it.

    The order of the examples has no effect: their contents determine the order of training and the folds.

    Args:
        head: compiled, from (n, d) features to (n, k) probabilities; it is trained in place.
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        class_weight: class id to weight; every class weighs 1 by default.
        n_folds: folds of the cross-validation.
        seed: determines the folds and the order of the batches.
        groups: (n,) int64, equal for copies of one example, which are held out together; by default examples
            with equal features are copies.
        pool: (m, d) float32, features without labels, for a head that learns from them.
        **fit_options: options of `keras.Model.fit`. Callbacks apply only to the training on all examples.

    Returns:
        The history and the out-of-fold probabilities.

    Raises:
        ValueError: If the head is not compiled, or `sample_weight` is among the options.
    """
    if "sample_weight" in fit_options:
        raise ValueError("examples are weighted by their class: use class_weight. Received: sample_weight")
    if not getattr(head, "compiled", False):
        raise ValueError(f"a head must be compiled before it is trained. Received: {head.name}, not compiled")
    if is_self_solving(head):
        if fit_options:
            warnings.warn(
                f"{head.name} is solved exactly, without epochs or batches: ignored "
                f"{', '.join(fit_options)}. compile(optimizer='adam') trains it step by step",
                stacklevel=3,
            )
        extra = {} if groups is None else {"groups": groups}
        if pool is not None and learns_from_pool(head):
            extra["pool"] = pool
        history = head.fit(features, class_ids, class_weight=class_weight, **extra)
        different = len(np.unique(twin_numbers(features) if groups is None else groups))
        n_folds = min(head.n_folds, different if different > 1 else len(class_ids))
        return HeadTraining(history, np.asarray(head.out_of_fold_), n_folds)
    order = content_order(features, class_ids)
    features, class_ids = features[order], class_ids[order]
    groups = None if groups is None else groups[order]
    adapt_normalization(head, features)
    options = _DEFAULTS | {"class_weight": class_weight} | fit_options
    folds = stratified_folds(class_ids, n_folds, seed, content=features, groups=groups)
    without_callbacks = {key: value for key, value in options.items() if key != "callbacks"}
    # One copy for all folds, so that its graph is made only once.
    copy = untrained_copy(head, features)
    out_of_fold = predict_held_out(
        copy,
        features,
        folds,
        lambda rows: _fit(copy, features[rows], class_ids[rows], seed, without_callbacks),
    )
    history = _fit(head, features, class_ids, seed, options)
    return HeadTraining(history, out_of_fold[np.argsort(order)], len(np.unique(folds)))


def fit_head(
    head: keras.Model,
    features: np.ndarray,
    class_ids: np.ndarray,
    *,
    class_weight: dict[int, float] | None = None,
    seed: int = 0,
    **fit_options: Any,
) -> Any:
    """Trains a head on all examples without cross-validation, for callers that do their own.

    Args:
        head: compiled, from (n, d) features to (n, k) probabilities; training continues from its current
            state, unless the head is solved exactly.
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        class_weight: class id to weight; every class weighs 1 by default.
        seed: determines the order of the batches.
        **fit_options: options of `keras.Model.fit`, without effect on a head that is solved exactly.

    Returns:
        The `keras.callbacks.History`.
    """
    if is_self_solving(head):
        return head.fit(features, class_ids, class_weight=class_weight)
    adapt_normalization(head, features)
    return _fit(head, features, class_ids, seed, _DEFAULTS | {"class_weight": class_weight} | fit_options)


def adapt_normalization(head: keras.Model, features: np.ndarray) -> None:
    """Adapts the normalisations of a head to (n, d) features; training does not change them."""
    for layer in head.layers:
        if isinstance(layer, PowerNormalization):
            layer.adapt(features)


def predict_held_out(
    head: keras.Model, features: np.ndarray, folds: np.ndarray, fit: Callable[[np.ndarray], Any]
) -> np.ndarray:
    """Returns each example's probabilities from a head that was trained on the other folds.

    Args:
        head: compiled, built and untrained; it is reset before each fold and at the end.
        features: (n, d) float32, at least one row.
        folds: (n,) int64, the fold in which each example is held out.
        fit: trains the head on some rows.

    Returns:
        (n, k) float32.
    """
    first_state = FirstState(head)
    rows: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    for fold in np.unique(folds):
        rows.append(np.flatnonzero(folds == fold))
        first_state.restore()
        fit(np.flatnonzero(folds != fold))
        predicted.append(keras.ops.convert_to_numpy(head(features[rows[-1]], training=False)))
    first_state.restore()
    return np.concatenate(predicted)[np.argsort(np.concatenate(rows))].astype(np.float32)


def untrained_copy(head: keras.Model, features: np.ndarray) -> keras.Model:
    """Returns a head with the same weights, loss and kind of optimizer; it shares no trainable state.

    Args:
        head: compiled and not trained yet.
        features: (n, d) float32, at least one row; a call with it creates the weights of a user's own model
            class.
    """
    if type(head).__module__.partition(".")[0] == "keras":
        copy = keras.models.clone_model(head)
    else:
        copy = type(head).from_config(head.get_config())
    copy(features[:1])  # a user's own model class creates its weights only now
    copy.set_weights(head.get_weights())
    if is_self_solving(head):
        copy.compile_from_config(head.get_compile_config())
        return copy
    # Keeps the loss object: a user's own function could not be made again from its configuration.
    copy.compile(type(head.optimizer).from_config(head.optimizer.get_config()), loss=head.loss)
    return copy


def _fit(
    head: keras.Model, features: np.ndarray, class_ids: np.ndarray, seed: int, options: dict[str, Any]
) -> Any:
    options = dict(options)
    if options.keys() & {"validation_split", "shuffle", "steps_per_epoch"}:
        return head.fit(features, class_ids, **options)
    # Keras shuffles arrays with the global seed; our own shuffle is reproducible without changing that seed.
    batches = (
        tf.data.Dataset.from_tensor_slices((features, class_ids))
        .shuffle(len(features), seed=seed, reshuffle_each_iteration=True)
        .batch(options.pop("batch_size"))
    )
    return head.fit(batches, shuffle=False, **options)
