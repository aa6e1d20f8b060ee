"""The linear model that a head becomes when rules or descriptions teach it, and what fits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.special import softmax

from tfautolabel.heads import LinearHead
from tfautolabel.heads.softmax_regression import fit_soft_labels

_NEVER = -30.0
"""The bias of a class that no example may have."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear model on normalised features: (d, k) weights and (k,) bias."""

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns (n, k) float32 probabilities."""
        return np.asarray(softmax(features @ self.weights + self.bias, axis=1).astype(np.float32))


def fit_class_weights(features: np.ndarray, weights: np.ndarray, C: float) -> Linear:
    """Fits a linear model to examples that count for several classes.

    Args:
        features: (n, d) float32, normalised.
        weights: (n, k) >= 0, how much each example counts for each class; an example needs one above 0. A
            class that nothing counts for never comes out, since no solver could find its weights.
        C: the inverse strength of the penalty, > 0.
    """
    present = np.flatnonzero(weights.any(axis=0))
    totals = weights.sum(axis=1)
    targets = (weights[:, present] / totals[:, None]).astype(np.float32)
    fitted = fit_soft_labels(features, targets, C, sample_weight=totals.astype(np.float32))
    kernel = np.zeros((features.shape[1], weights.shape[1]), np.float32)
    bias = np.full(weights.shape[1], _NEVER, np.float32)
    kernel[:, present], bias[present] = fitted.weights, fitted.bias
    return Linear(kernel, bias)


def normalized(head: LinearHead, features: np.ndarray) -> np.ndarray:
    """Returns (n, d) float32 features as the head normalises them."""
    found: np.ndarray = keras.ops.convert_to_numpy(head.normalization(np.asarray(features, np.float32)))
    return found


def history_of(head: LinearHead, out_of_fold: np.ndarray, class_ids: np.ndarray) -> Any:
    """Returns a `keras.callbacks.History` with the accuracy on held-out labels, if there are any.

    Args:
        head: the head.
        out_of_fold: (g, k), the probabilities of each labelled example from a head that has not seen it.
        class_ids: (g,) int64.
    """
    history = keras.callbacks.History()
    history.set_model(head)
    history.on_train_begin()
    if len(class_ids):
        right = float((out_of_fold.argmax(axis=1) == class_ids).mean())
        history.on_epoch_end(0, {"val_accuracy": right})
    return history
