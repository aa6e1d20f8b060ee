"""Prototypes: a map under which examples lie near the mean of their class.

Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, NeurIPS 2017 (arXiv 1703.05175), with a
linear map of frozen features in place of the network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.training.meta.episodes import learnt_map
from tfautolabel.training.meta.tasks import Task


def prototypes(tasks: list[Task], seed: int = 0) -> np.ndarray:
    """Returns a (d, d) float32 matrix; see `learnt_map`."""
    return learnt_map(tasks, nearness, seed)


def nearness(support: Any, labels: Any, query: Any, sharpness: Any) -> Any:
    """Returns (q, n) scores: minus the squared distance to each class's mean, times the sharpness."""
    means = tf.matmul(labels, support, transpose_a=True) / tf.reduce_sum(labels, axis=0)[:, None]
    apart = tf.reduce_sum((query[:, None, :] - means[None]) ** 2, axis=2)
    return -sharpness * apart
