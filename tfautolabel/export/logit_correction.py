"""What weights in 8 bits do to a network's logits, and what takes a part of it back.

Rounded weights shift the logits, partly at random and partly in the same way for all
examples. The second part is learned from a few of them: one affine map from the k logits of the quantised
network to those of the original, fitted by ridge regression. It costs k x k multiplications, and needs no
labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

PENALTIES = tuple(10.0 ** np.arange(-1, 5))
"""Of the ridge regression, in units of squared logits."""
FEWEST = 10
"""With fewer examples than this nothing is learned."""
MOST_CLASSES = 128
"""With more classes only the shift of each is learned: a map of all to all would be larger than its worth."""


@dataclass(frozen=True, eq=False)
class LogitCorrection:
    """An affine map that is added to logits.

    Attributes:
        kernel: (k, k) float32, or None where only a shift is added.
        bias: (k,) float32.
    """

    kernel: np.ndarray | None
    bias: np.ndarray

    def in_graph(self, logits: tf.Tensor) -> tf.Tensor:
        """(n, k) logits to (n, k) probabilities of the corrected ones."""
        corrected = logits + self.bias
        if self.kernel is not None:
            # Apart from the logits themselves, so that rounding the kernel touches the correction alone.
            corrected += logits @ self.kernel
        return tf.nn.softmax(corrected)


def fit_logit_correction(quantised: np.ndarray, original: np.ndarray) -> LogitCorrection | None:
    """Learns what to add to the logits of a quantised network.

    The error of each example under the map fitted on all others chooses between no correction, a shift of
    each class, and maps of several penalties (Hastie et al., The Elements of Statistical Learning, 7.10).

    Args:
        quantised: (n, k) logits of some examples.
        original: (n, k) of the same ones.

    Returns:
        The correction; None if there are fewer than 10 examples, or none would have come nearer.
    """
    n, k = quantised.shape
    if n < FEWEST:
        return None
    # A number added to all logits of an example changes nothing.
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
    # The map takes logits as they are, so the mean of an example's logits has to be taken off in it.
    weights -= weights.mean(axis=0)
    return LogitCorrection(weights.astype(np.float32), (shift - centre @ weights).astype(np.float32))
