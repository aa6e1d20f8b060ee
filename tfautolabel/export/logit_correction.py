"""Corrects part of the error that 8-bit weights cause in a network's logits.

Rounded weights shift the logits, partly at random and partly in the same way for all examples. The second
part is learned from a few examples. Ridge regression fits one affine map from the k logits of the quantised
network to those of the original. The map costs k x k multiplications. It needs no labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

PENALTIES = tuple(10.0 ** np.arange(-1, 5))
"""Penalties of the ridge regression, in units of squared logits."""
FEWEST = 10
"""The fewest examples for a correction."""
MOST_CLASSES = 128
"""With more classes, only a shift per class is learned, because a full map would be too large."""


@dataclass(frozen=True, eq=False)
class LogitCorrection:
    """An affine map that is added to logits.

    Attributes:
        kernel: (k, k) float32, or None if only a shift is added.
        bias: (k,) float32.
    """

    kernel: np.ndarray | None
    bias: np.ndarray

    def in_graph(self, logits: tf.Tensor) -> tf.Tensor:
        """Maps (n, k) logits to the (n, k) probabilities of the corrected logits."""
        corrected = logits + self.bias
        if self.kernel is not None:
            # The correction is added to the logits, so that rounding the kernel only affects the correction.
            corrected += logits @ self.kernel
        return tf.nn.softmax(corrected)


def fit_logit_correction(quantised: np.ndarray, original: np.ndarray) -> LogitCorrection | None:
    """Learns a correction for the logits of a quantised network.

    It chooses between no correction, a shift of each class, and maps with several penalties. The criterion is
    the error of each example under the map fitted on all others (Hastie et al., The Elements of Statistical
    Learning, 7.10).

    Args:
        quantised: (n, k) logits of some examples.
        original: (n, k) logits of the original network on the same examples.

    Returns:
        The correction. None if there are fewer than 10 examples, or if no correction reduces the error.
    """
    n, k = quantised.shape
    if n < FEWEST:
        return None
    # Adding one number to all logits of an example changes nothing.
    given = quantised - quantised.mean(axis=1, keepdims=True)
    missing = original - original.mean(axis=1, keepdims=True) - given
    centre, shift = given.mean(axis=0), missing.mean(axis=0)
    x, y = (given - centre).astype(np.float64), (missing - shift).astype(np.float64)
    none = float(np.square(missing).mean())
    errors = {None: float(np.square(y * n / (n - 1)).mean())}
    if k <= MOST_CLASSES:
        kernel, values, _ = np.linalg.svd(x, full_matrices=False)
        for penalty in PENALTIES:
            shrunk = values**2 / (values**2 + penalty)
            leverage = 1 / n + np.square(kernel) @ shrunk
            residual = y - kernel @ (shrunk[:, None] * (kernel.T @ y))
            errors[penalty] = float(np.square(residual / (1 - leverage)[:, None]).mean())
    best = min(errors, key=lambda penalty: errors[penalty])
    if errors[best] >= none:
        return None
    if best is None:
        return LogitCorrection(None, shift.astype(np.float32))
    weights = np.linalg.solve(x.T @ x + best * np.eye(k), x.T @ y)
    # The map takes raw logits, so it must also subtract the mean of an example's logits.
    weights -= weights.mean(axis=0)
    return LogitCorrection(weights.astype(np.float32), (shift - centre @ weights).astype(np.float32))
