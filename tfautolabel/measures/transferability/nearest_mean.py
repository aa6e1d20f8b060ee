"""The leave-one-out accuracy of the nearest class mean, in closed form.

Rocchio, "Relevance feedback in information retrieval" (1971); Mensink et al., "Distance-based image
classification" (TPAMI 35, 2013); with few labels, Snell, Swersky and Zemel, "Prototypical networks for
few-shot learning" (NeurIPS 2017, arXiv 1703.05175).

A mean without one example is the class's sum less that example, so n fits cost as much as one. No
prior, no folds: with few labels it ranks features more surely than a cross-validated head.
"""

from __future__ import annotations

import numpy as np

from tfautolabel.measures.transferability.checked import checked

_TIE = 1e-9
"""Distances closer than this share of the features' spread are equal: they differ only by rounding."""


def nearest_mean_right(features: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Returns which examples are nearer to their own class's mean, made without them, than to any other.

    An example that is as near to another class is not right, nor is the only example of its class, because
    nothing is left to make a mean of.

    Args:
        features: (n, d), finite; where they lie and their common scale do not matter.
        class_ids: (n,) integers, two classes at least.

    Returns:
        (n,) bool.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, or there are fewer than two classes.

    Examples:
        >>> nearest_mean_right(np.array([[0.0], [1.0], [8.0], [9.0], [2.0]]), np.array([0, 0, 1, 1, 1]))
        array([ True,  True,  True,  True, False])
    """
    values, numbers, counts = checked(features, class_ids)
    # Distances do not depend on the origin, but their rounding errors do.
    values = values - values.mean(axis=0)
    rows = np.arange(len(values))
    sums = (numbers == np.arange(len(counts))[:, None]).astype(float) @ values
    means = sums / counts[:, None]
    distances = np.sum(means**2, axis=1) - 2.0 * values @ means.T
    remaining = np.maximum(counts[numbers] - 1, 1)
    own_means = (sums[numbers] - values) / remaining[:, None]
    own = np.sum(own_means**2, axis=1) - 2.0 * np.sum(values * own_means, axis=1)
    distances[rows, numbers] = np.inf
    spread = float(np.mean(np.sum(values**2, axis=1)))
    nearer = own < distances.min(axis=1) - _TIE * spread
    return np.asarray(nearer & (counts[numbers] > 1))


def nearest_mean_accuracy(features: np.ndarray, class_ids: np.ndarray) -> float:
    """Returns the share of examples that `nearest_mean_right` finds.

    Args:
        features: (n, d), finite.
        class_ids: (n,) integers, two classes at least.

    Returns:
        In [0, 1]; higher is better.

    Raises:
        ValueError: As `nearest_mean_right`.
    """
    return float(nearest_mean_right(features, class_ids).mean())
