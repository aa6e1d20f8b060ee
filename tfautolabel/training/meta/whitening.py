"""Whitening within classes: directions in which examples of one class differ count for less.

Hatch, Kajarekar and Stolcke, Within-Class Covariance Normalization for SVM-based Speaker Recognition,
Interspeech 2006. The covariance is shrunk towards that of all directions alike (Ledoit and Wolf, 2004), here
by a fixed share: with the share .1 a map that did not fit lost twice as much.
"""

from __future__ import annotations

import numpy as np

from tfautolabel.training.meta.tasks import Task

SHRINKAGE = 0.5


def whitening(tasks: list[Task], seed: int = 0) -> np.ndarray:  # noqa: ARG001 # nothing here is random
    """Returns a (d, d) float32 matrix, to be multiplied from the right.

    Args:
        tasks: with features of length one.
        seed: without effect.

    Raises:
        ValueError: If no class has two different examples.
    """
    size = tasks[0].features.shape[1]
    total, free = np.zeros((size, size)), 0
    for task in tasks:
        for number in np.unique(task.class_ids):
            rows = task.features[task.class_ids == number].astype(np.float64)
            rows -= rows.mean(axis=0)
            total += rows.T @ rows
            free += len(rows) - 1
    variances, directions = np.linalg.eigh(total / max(free, 1))
    variances = np.maximum(variances, 0.0)
    mean = float(variances.mean())
    if mean < 1e-12:
        raise ValueError(
            "whitening needs a class with two different examples or more. Received: tasks without one"
        )
    shrunk = (1.0 - SHRINKAGE) * variances / mean + SHRINKAGE
    return np.asarray((directions * shrunk**-0.5) @ directions.T, np.float32)
