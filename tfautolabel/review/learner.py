"""Learns from the answers so far; says by the randomly asked ones only how good that is.

Examples that a strategy chose are no random sample: cross-validation on them can be 30 points away from the
truth. Whatever is said about accuracy therefore comes from the randomly asked ones only, each predicted by
a head that has not seen it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from tfautolabel.active.geometry import power_normalized, suited_power
from tfautolabel.data.folds import content_order, stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads.softmax_regression import fit_softmax_regression
from tfautolabel.measures import accuracy_interval

FOLDS = 5
_ROWS = 16_384


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learnt from the answers at one time.

    Attributes:
        classes: k names.
        probabilities: (m, k) float32, one row an example; 0 for classes without a label.
        rows: (n,) int64, the labelled examples.
        out_of_fold: (n, k) float32, their probabilities from heads that have not seen them.
        class_ids: (n,) int64, their labels.
        drawn: (n,) bool, which of them were asked at random.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    rows: np.ndarray
    out_of_fold: np.ndarray
    class_ids: np.ndarray
    drawn: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(m,) int64, the class id of each example."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        """(m,) float32, the largest probability of each example."""
        return np.asarray(self.probabilities.max(axis=1))

    def accuracy(self) -> tuple[float, float, float, int] | None:
        """Returns the accuracy on the randomly asked ones, its 95 % interval, and their number.

        None without a randomly asked one.
        """
        right = (self.out_of_fold.argmax(axis=1) == self.class_ids)[self.drawn]
        if not len(right):
            return None
        low, high = accuracy_interval(int(right.sum()), len(right))
        return float(right.mean()), low, high, len(right)


class Learner:
    """Fits the product's linear head to answers about fixed features.

    Args:
        features: (m, d) float32, as a backbone gives them.
        seed: determines the folds.
    """

    def __init__(self, features: np.ndarray, seed: int = 0) -> None:
        self.seed = seed
        self._features = features
        self._power = suited_power(features)

    def normalised(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns features as the head takes them, see `tfautolabel.heads.normalization`."""
        return power_normalized(np.asarray(self._features[rows], np.float32), self._power)

    def learn(
        self, rows: np.ndarray, class_ids: np.ndarray, is_random: np.ndarray, classes: tuple[str, ...]
    ) -> Lesson | None:
        """Fits the head; None as long as there are not two classes with a label.

        Args:
            rows: (n,) int64, the labelled examples.
            class_ids: (n,) int64 in [0, k), their labels.
            is_random: (n,) bool, which were asked at random.
            classes: k names; some may have no label yet.
        """
        seen, own = np.unique(class_ids, return_inverse=True)
        if len(seen) < 2:
            return None
        features = self.normalised(rows)
        order = content_order(features, own)
        features, own, rows, random = features[order], own[order], rows[order], is_random[order]
        weights = share_weights(own, len(seen), "chosen")
        per_example = None if weights is None else np.array([weights[int(c)] for c in own], np.float32)
        found = fit_softmax_regression(
            features,
            own,
            len(seen),
            folds=stratified_folds(own, min(FOLDS, len(own)), self.seed, content=features),
            sample_weight=per_example,
        )
        probabilities = np.zeros((len(self._features), len(classes)), np.float32)
        for start in range(0, len(probabilities), _ROWS):
            part = slice(start, start + _ROWS)
            scores = self.normalised(part) @ found.weights + found.bias
            probabilities[part][:, seen] = softmax(scores, axis=1)
        held_out = np.zeros((len(rows), len(classes)), np.float32)
        held_out[:, seen] = np.asarray(found.out_of_fold)
        return Lesson(classes, probabilities, rows, held_out, seen[own], random)
