"""First-order MAML: a map under which a few steps of gradient descent make a good head.

Finn, Abbeel and Levine, Model-Agnostic Meta-Learning, ICML 2017 (arXiv 1703.03400), with the first-order
gradient of its section 5.2. What adapts within an episode is the head, as Raghu et al., Rapid Learning or
Feature Reuse?, ICLR 2020 (arXiv 1909.09157), found to be enough; what stays is a linear map of frozen
features in place of the network. So a later labeler needs the map only, and its own solver finds the head.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.training.meta.episodes import learnt_map
from tfautolabel.training.meta.tasks import Task

INNER_STEPS, INNER_RATE = 5, 1.0
"""Steps of gradient descent from a head of zeros, and their size; chosen on draws 300 to 302 of words."""


def first_order_maml(tasks: list[Task], seed: int = 0) -> np.ndarray:
    """Returns a (d, d) float32 matrix; see `learnt_map`."""
    return learnt_map(tasks, adapted, seed)


def adapted(support: Any, labels: Any, query: Any, sharpness: Any) -> Any:
    """Returns (q, n) scores of a head that has made a few steps on the labels.

    No gradient passes through these steps: that is the first order.
    """
    rows, scale = tf.stop_gradient(support), tf.stop_gradient(sharpness)
    head = tf.zeros((tf.shape(rows)[1], tf.shape(labels)[1]))
    for _ in range(INNER_STEPS):
        wrong = tf.nn.softmax(scale * tf.matmul(rows, head)) - labels
        slope = tf.matmul(rows, wrong, transpose_a=True) / tf.cast(tf.shape(rows)[0], tf.float32)
        head -= INNER_RATE * slope
    return sharpness * tf.matmul(query, head)
