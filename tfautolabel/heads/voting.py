"""Lets the votes of rules on an example change a head's probabilities, where the labels agree with the votes.

A head that has learnt from rules gives each of them the same meaning everywhere that its features allow. The
votes on the example itself say more, and sometimes mislead. So they only count where a head that has learnt
from labels alone finds their class the most probable one too, the more so the surer it is of it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfautolabel.heads.calibrated import calibration

PART = 0.4
"""What votes count beside the head, at most. Like `MARGIN`, chosen on seeds 200 to 203 of the sets in
`benchmarks/votes_at_prediction.py`."""
MARGIN = 0.1
"""From this lead of the votes' class on, in a head of the labels, they count in full; below 0, not at all. In
between they count by degrees: two computers that differ in the last digit must not give other labels."""
_TIED = 0.01
"""Votes whose first two classes are closer than this say nothing."""
_NOTHING = 1e-9


@keras.saving.register_keras_serializable("tfautolabel")
class VoteMixing(keras.layers.Layer):
    """Mixes the probabilities of a head with what votes say, where a linear head of the labels agrees.

    Votes say the mean of two things: the shares of the classes among them, each vote with its weight, and the
    softmax of the sums of what each adds to the logarithm of its class.

    Args:
        shares: (m, k) float32, what a vote of each rule counts for each class in the shares.
        log_odds: (m, k) float32, what it adds to the logarithm.
        kernel: (d, k) float32, of the head of the labels.
        bias: (k,) float32, of the same.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        probabilities: (n, k) float32, rows sum to 1.
        features: (n, d) float32, normalised as the head does it.
        votes: (n, m) integers, -1 for no vote; each rule votes for one class only.

    Returns:
        (n, k) float32, rows sum to 1.
    """

    def __init__(
        self, shares: np.ndarray, log_odds: np.ndarray, kernel: np.ndarray, bias: np.ndarray, **options: Any
    ) -> None:
        super().__init__(trainable=False, **options)
        self._given = {"shares": shares, "log_odds": log_odds, "kernel": kernel, "bias": bias}
        for name, value in self._given.items():
            array = np.asarray(value, np.float32)
            setattr(
                self,
                name,
                self.add_weight(shape=array.shape, initializer="zeros", trainable=False, name=name),
            )
            getattr(self, name).assign(array)
        self.built = True

    def call(self, probabilities: Any, features: Any, votes: Any) -> Any:
        """See the class."""
        k = self.bias.shape[0]
        said, counted = self.said(votes)
        theirs = ops.one_hot(ops.argmax(said, axis=-1), k, dtype="float32")
        of_labels = ops.softmax(ops.matmul(features, self.kernel) + self.bias, axis=-1)
        sure = ops.cast(_lead(said, theirs) > _TIED, "float32")
        agreement = ops.clip(_lead(of_labels, theirs) / MARGIN, 0.0, 1.0)
        part = PART * counted * sure * agreement
        return (1.0 - part) * probabilities + part * said

    def said(self, votes: Any) -> tuple[Any, Any]:
        """Returns (n, k) float32, what the votes say, and (n, 1) float32, 1 where a vote counts, else 0."""
        k = self.bias.shape[0]
        cast = ops.cast(ops.greater_equal(votes, 0), "float32")
        counts = ops.matmul(cast, self.shares)
        total = ops.sum(counts, axis=-1, keepdims=True)
        counted = total > _NOTHING
        shares = ops.where(counted, counts / ops.maximum(total, _NOTHING), 1.0 / k)
        said = (shares + ops.softmax(ops.matmul(cast, self.log_odds), axis=-1)) / 2.0
        return said, ops.cast(counted, "float32")

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arguments that make an equal layer."""
        return {name: ops.convert_to_numpy(getattr(self, name)) for name in self._given}


def voted_head(
    head: keras.Model,
    normalization: keras.layers.Layer,
    mixing: VoteMixing,
    scale: np.ndarray,
    bias: np.ndarray,
) -> keras.Model:
    """Returns a model from (n, d) features and (n, m) votes to (n, k) probabilities; it shares all weights.

    Args:
        head: from (n, d) features to (n, k) probabilities.
        normalization: of the features, as in the head.
        mixing: counts the votes.
        scale: (k,), the factor of each class's log-probability afterwards.
        bias: (k,), added after the multiplication.
    """
    features = keras.Input((mixing.kernel.shape[0],), name="features")
    votes = keras.Input((mixing.shares.shape[0],), dtype="int64", name="votes")
    mixed = mixing(head(features), normalization(features), votes)
    found = calibration(scale, bias)(mixed)
    return keras.Model([features, votes], found, name=head.name)


def _lead(probabilities: Any, of: Any) -> Any:
    """Returns (n, 1): how far the class in (n, k) one-hot rows is before the best other one."""
    own = ops.sum(probabilities * of, axis=-1, keepdims=True)
    return own - ops.max(probabilities - 2.0 * of, axis=-1, keepdims=True)
