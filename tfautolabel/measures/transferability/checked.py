"""Checks features and labels, and numbers the classes that occur."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Checked(NamedTuple):
    """Features and labels that a score can be computed from.

    Attributes:
        features: (n, d) float64, finite.
        class_ids: (n,) int64 in [0, k), every number at least once.
        counts: (k,) int64, the examples of each class, at least 1.
    """

    features: np.ndarray
    class_ids: np.ndarray
    counts: np.ndarray


def checked(features: np.ndarray, class_ids: np.ndarray) -> Checked:
    """Returns features and labels in the form that the scores use.

    Args:
        features: (n, d), finite.
        class_ids: (n,) integers. Only which of them are equal counts.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, or there are fewer than two classes.
    """
    values, class_ids = np.asarray(features, np.float64), np.asarray(class_ids)
    if values.ndim != 2 or class_ids.shape != values.shape[:1]:
        raise ValueError(
            "features must have shape (n, d) and class_ids shape (n,). Received: shapes "
            f"{values.shape} and {class_ids.shape}"
        )
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise ValueError(f"features must be finite numbers. Received: another one in row {row}")
    classes, numbers, counts = np.unique(class_ids, return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError(f"class_ids must hold two classes at least. Received: {len(classes)}")
    return Checked(values, numbers.reshape(-1).astype(np.int64), counts.astype(np.int64))
