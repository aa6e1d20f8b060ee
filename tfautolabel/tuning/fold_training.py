"""Trains one head on the folds of a cross-validation, with one trace for all folds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.training.feature_transfer import predict_held_out


def predict_folds(
    head: keras.Model,
    features: np.ndarray,
    class_ids: np.ndarray,
    folds: np.ndarray,
    *,
    epochs: int,
    batch_size: int,
    class_weight: dict[int, float] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Returns each example's probabilities from the head trained step by step on the other folds.

    `keras.Model.fit` would train in the same way. This runs its loop inside one graph, which saves the time
    between steps: most of the time if the steps are small.

    Args:
        head: compiled, built and untrained; it is reset before each fold and at the end.
        features: (n, d) float32.
        class_ids: (n,) int64 in [0, k).
        folds: (n,) int64, the fold in which each example is held out.
        epochs: how often each example is seen.
        batch_size: the most examples in a step.
        class_weight: class id to weight; every class weighs 1 by default.
        seed: determines the order of the examples.

    Returns:
        (n, k) float32.
    """
    x, y = tf.constant(features), tf.constant(class_ids)
    weights = np.ones(len(class_ids), np.float32)
    for class_id, weight in (class_weight or {}).items():
        weights[class_ids == class_id] = weight
    train = _training(head, x, y, tf.constant(weights))
    return predict_held_out(
        head,
        features,
        folds,
        lambda rows: train(tf.constant(_order(rows, epochs, min(batch_size, len(rows)), seed))),
    )


def _order(rows: np.ndarray, epochs: int, batch_size: int, seed: int) -> np.ndarray:
    """Returns (steps, batch_size) int64: the rows, shuffled again for each epoch, epoch after epoch."""
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(rows) for _ in range(epochs)])
    return order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)


def _training(
    head: keras.Model, features: tf.Tensor, class_ids: tf.Tensor, weights: tf.Tensor
) -> Callable[[tf.Tensor], Any]:
    """Returns a graph that takes (steps, batch) rows and trains the head on them, step by step."""
    loss_of, optimizer = keras.losses.get(head.loss), head.optimizer
    parameters = head.trainable_variables

    def step(rows: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            predicted = head(tf.gather(features, rows), training=True)
            loss = loss_of(tf.gather(class_ids, rows), predicted)
            total = tf.reduce_mean(loss * tf.gather(weights, rows))
            if head.losses:
                total += tf.add_n(head.losses)
        optimizer.apply(tape.gradient(total, [p.value for p in parameters]), parameters)

    # Without a fixed number of steps all folds share one trace.
    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int64)])
    def train(order: tf.Tensor) -> tf.Tensor:
        count = tf.shape(order)[0]

        def body(number: tf.Tensor) -> tuple[tf.Tensor]:
            step(order[number])
            return (number + 1,)

        (done,) = tf.while_loop(lambda number: number < count, body, (tf.constant(0),))
        return done

    # Each head has its own trace; if called as a function, TensorFlow would warn of too many traces.
    concrete: Callable[[Any], Any] = train.get_concrete_function()
    return concrete
