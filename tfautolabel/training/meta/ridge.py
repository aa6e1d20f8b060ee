"""Ridge regression: a map under which a few labels make a good linear head.

Bertinetto, Henriques, Torr and Vedaldi, Meta-learning with Differentiable Closed-form Solvers (R2-D2), ICLR
2019 (arXiv 1805.08136), with a linear map of frozen features in place of the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.training.meta.episodes import learnt_map
from tfautolabel.training.meta.tasks import Task

PENALTY = 0.1


def ridge(tasks: list[Task], seed: int = 0) -> np.ndarray:
    """Returns a (d, d) float32 matrix; see `learnt_map`."""
    return learnt_map(tasks, regressed, seed)


def regressed(support: Any, labels: Any, query: Any, sharpness: Any) -> Any:
    """Returns (q, n) scores of the ridge solution on the labels, in the form for few examples."""
    alike = tf.matmul(support, support, transpose_b=True)
    weights = tf.linalg.solve(alike + PENALTY * tf.eye(tf.shape(support)[0]), labels)
    return sharpness * tf.matmul(tf.matmul(query, support, transpose_b=True), weights)
