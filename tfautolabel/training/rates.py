"""Learning rates: Adam with a rate for each block, a pull to the start, and a schedule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._keras_internals import moments

WARM_UP = 0.1
"""The share of the steps in which the rate increases from zero."""


class TransferAdam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) for parameters that start at good values.

    Each variable has its own rate, so that blocks near the input, which are the most general, change least
    (discriminative fine-tuning: Howard and Ruder 2018, arXiv 1801.06146). The pull is the gradient of a
    squared distance to the start (L2-SP: Li, Grandvalet and Davoine 2018, arXiv 1802.01483). It is applied
    separately from Adam's step, as AdamW applies its decay, so that Adam does not rescale it.

    Args:
        factors: one factor of the learning rate for each variable.
        starts: one array for each variable, its start; None for a variable without a pull.
        pull: the share of the distance to the start by which a variable goes back at a learning rate of one.
        **options: options of `keras.optimizers.Adam`.
    """

    def __init__(
        self, factors: Sequence[float], starts: Sequence[np.ndarray | None], pull: float, **options: Any
    ) -> None:
        super().__init__(**options)
        self.factors, self.pull = list(factors), pull
        self.starts = [None if start is None or not pull else tf.constant(start) for start in starts]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Makes one step of one variable.

        TensorFlow's kernel needs one pass over the weights; Keras would use a dozen operations.
        """
        place, first, second = moments(self, variable)
        weights = variable.value if isinstance(variable, keras.Variable) else variable
        rate = tf.cast(learning_rate, weights.dtype) * self.factors[place]
        step = tf.cast(self.iterations.value + 1, weights.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=weights.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, weights.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, weights.dtype), step),
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )
        start = self.starts[place]
        if start is not None:
            weights.assign_sub((weights - start) * (rate * self.pull))


class WarmUpAndCosine(keras.callbacks.Callback):
    """Sets the learning rate before each step: a rise to its peak, then half a cosine down to zero.

    Args:
        peak: the highest learning rate.
        total: the total number of steps.
        steps_per_epoch: steps in an epoch.
    """

    def __init__(self, peak: float, total: int, steps_per_epoch: int) -> None:
        super().__init__()
        self.peak, self.total, self.steps_per_epoch = peak, total, steps_per_epoch
        self._done = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Counts steps from the epoch, so that a resumed training continues where it was."""
        self._done = epoch * self.steps_per_epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Sets the rate of the next step."""
        rate = self.peak * share_of_peak((self._done + batch) / max(self.total, 1))
        self.model.optimizer.learning_rate.assign(rate)


def share_of_peak(progress: float) -> float:
    """Returns the learning rate, as a share of its peak, after `progress` in [0, 1] of the steps.

    Examples:
        >>> [round(share_of_peak(progress), 3) for progress in (0.0, 0.05, 0.1, 0.55, 1.0)]
        [0.02, 0.51, 1.0, 0.5, 0.0]
    """
    if progress < WARM_UP:
        return 0.02 + 0.98 * progress / WARM_UP
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1.0 - WARM_UP))))
