"""Scales features by powers of their covariance: directions in which a pool varies much count for more.

A linear head with an L2 penalty believes beforehand that all directions of the features matter alike, and
with few labels this belief decides. To multiply features by the power p of their covariance is to believe
that weights along an axis are as large as its variance to the power p. The map is linear, needs no label
and treats labelled and unlabelled examples alike, so it may be part of an exported model, and held-out
labels stay honest.

The mean of the pool is not subtracted from the rows: in a pool whose classes are out of balance it leans
to the common class. Only the axes come from the centred pool. Negative powers, which whiten, and powers of
1 and more lost accuracy with few labels on nearly all sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

POWERS = (0.25, 0.5)
"""The powers besides 0, which leaves the features as they are."""

_LEAST_SHARE = 1e-6
"""Of the greatest variance: an axis without variance still says something about a row that is not in the
pool."""


@dataclass(frozen=True, eq=False)
class Axes:
    """The principal axes of a pool.

    Attributes:
        directions: (d, d) float32, one axis a column, to be multiplied from the right.
        shares: (d,) float32 in (0, 1], the variance along each axis as a share of the greatest one.
    """

    directions: np.ndarray
    shares: np.ndarray

    def scaled(self, features: np.ndarray, power: float) -> np.ndarray:
        """Returns (n, d) float32 features along the axes, scaled by a power and then to length one."""
        rows = (features @ self.directions) * self.shares**power
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(length, 1e-7), np.float32)


def principal_axes(parts: Iterable[np.ndarray]) -> Axes:
    """Finds the axes in one pass over the rows, with memory for one part and d x d numbers.

    Args:
        parts: arrays (m, d) float32 of rows of length one; at least one row in all.
    """
    count, total, second = 0, np.zeros(1), np.zeros((1, 1))
    for part in parts:
        count += len(part)
        total = total + part.sum(axis=0, dtype=np.float64)
        second = second + part.T @ part
    mean = total / count
    variances, directions = np.linalg.eigh(second / count - np.outer(mean, mean))
    shares = np.clip(variances / max(float(variances[-1]), 1e-30), _LEAST_SHARE, 1.0)
    return Axes(directions.astype(np.float32), shares.astype(np.float32))
