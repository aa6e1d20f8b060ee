"""The contract for every head, including heads from users."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard

import keras
import numpy as np
import tensorflow as tf


class SelfSolving(Protocol):
    """A head with its own solver.

    Its `fit(features, class_ids, class_weight=...)` trains it on all examples at once, and also predicts each
    example by a model that has not seen it. It has no epochs, batches or callbacks.

    `train_head` may pass it `groups`, (n,) int64: examples with the same number are copies of one example and
    are held out together.

    It is a `keras.Model`. Its config has "n_folds" and "seed", and makes an equal head.

    Attributes:
        solves_itself: whether it uses its own solver, as it is compiled.
        out_of_fold_: after `fit`, (n, k) float32, in the order of the examples.
        n_folds: the most folds in which examples are held out.
    """

    name: str
    out_of_fold_: np.ndarray
    n_folds: int

    @property
    def solves_itself(self) -> bool:
        """See the class."""

    def fit(self, x: np.ndarray, y: np.ndarray, *, class_weight: dict[int, float] | None = None) -> Any:
        """See the class; returns a `keras.callbacks.History`."""

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal head, as any `keras.Model` does."""

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Makes a head from what `get_config` gives."""

    def get_compile_config(self) -> dict[str, Any]:
        """Returns how the head was compiled."""


def is_self_solving(head: object) -> TypeGuard[SelfSolving]:
    """Returns whether a head has its own solver and is compiled to use it."""
    return bool(getattr(head, "solves_itself", False))


class PoolLearning(SelfSolving, Protocol):
    """A head with its own solver that learns from examples without labels too.

    Its `fit` takes `pool`, (m, d) float32 features of a random sample of the examples to label.

    Attributes:
        learns_from_pool: whether it does so, as it is compiled.
        pool_: after `fit`, a record of what the pool was worth, ready for JSON; "why" says it in a sentence.
    """

    pool_: dict[str, Any]

    @property
    def learns_from_pool(self) -> bool:
        """See the class."""


def learns_from_pool(head: object) -> TypeGuard[PoolLearning]:
    """Returns whether a head takes a pool in `fit`, as it is compiled."""
    return bool(getattr(head, "learns_from_pool", False))


def check_head(head: object, feature_dim: int, n_classes: int) -> None:
    """Runs a head on artificial features; this finds more mistakes than a check of its declared shapes.

    Args:
        head: a model from (n, feature_dim) float32 features to (n, n_classes) probabilities.
        feature_dim: d, the length of a feature vector.
        n_classes: k.

    Raises:
        TypeError: If the head is not a `keras.Model`.
        ValueError: If the head does not accept the features or does not return probabilities.
    """
    if not isinstance(head, keras.Model):
        raise TypeError(f"a head is the name of one or a keras.Model. Received: {head!r}")
    taken = getattr(head, "inputs", None)
    if taken is not None and len(taken) != 1:
        names = ", ".join(one.name for one in taken)
        raise ValueError(f"a head takes features alone. Received: {head.name}, which takes {names}")
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
