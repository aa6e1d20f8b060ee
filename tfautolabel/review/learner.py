"""Learns from the answers so far; says by the randomly asked ones only how good that is.

Examples that a strategy chose are no random sample: cross-validation on them can be 30 points away from the
truth. Whatever is said about accuracy therefore comes from the randomly drawn ones only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfautolabel.active.answer_head import NormalizedFeatures, learn_answers
from tfautolabel.measures import accuracy_interval


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learnt from the answers at one time.

    Attributes:
        classes: k names.
        probabilities: (m, k) float32, one row an example; 0 for classes without a label.
        rows: (n,) int64, the labelled examples.
        out_of_fold: (n, k) float32, their probabilities from heads that have not seen them.
        class_ids: (n,) int64, their labels.
        drawn: (n,) bool, which of them are drawn at random.
        chosen_before: (n,) bool, which of the drawn ones a strategy had chosen before.
    """

    classes: tuple[str, ...]
    probabilities: np.ndarray
    rows: np.ndarray
    out_of_fold: np.ndarray
    class_ids: np.ndarray
    drawn: np.ndarray
    chosen_before: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """(m,) int64, the class id of each example."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> np.ndarray:
        """(m,) float32, the largest probability of each example."""
        return np.asarray(self.probabilities.max(axis=1))

    def accuracy(self) -> tuple[float, float, float, int] | None:
        """Returns the accuracy on the drawn ones, its 95 % interval, and their number.

        A drawn example stands for a share of all examples. Most of them have no label, so a head that has not
        seen it predicts it. But where the strategy had chosen it before, it stands for examples that the head
        learns from, whoever draws what: there counts what the head says of it now.

        None without a drawn one.
        """
        unseen = self.out_of_fold.argmax(axis=1)
        said = np.where(self.chosen_before, self.predicted[self.rows], unseen)
        right = (said == self.class_ids)[self.drawn]
        if not len(right):
            return None
        low, high = accuracy_interval(int(right.sum()), len(right))
        return float(right.mean()), low, high, len(right)


class Learner:
    """Fits the product's linear head to answers about fixed features.

    Args:
        features: (m, d) float32, as a backbone gives them.
        seed: determines the folds.

    Attributes:
        features: the `NormalizedFeatures`.
    """

    def __init__(self, features: np.ndarray, seed: int = 0) -> None:
        self.seed = seed
        self.features = NormalizedFeatures(features)

    def learn(
        self,
        rows: np.ndarray,
        class_ids: np.ndarray,
        is_random: np.ndarray,
        classes: tuple[str, ...],
        chosen_before: np.ndarray | None = None,
    ) -> Lesson | None:
        """Fits the head; None as long as there are not two classes with a label.

        Args:
            rows: (n,) int64, the labelled examples.
            class_ids: (n,) int64 in [0, k), their labels.
            is_random: (n,) bool, which were asked at random.
            classes: k names; some may have no label yet.
            chosen_before: (n,) bool, which a strategy chose before they were drawn; by default none.
        """
        head = learn_answers(self.features, rows, class_ids, len(classes), drawn=is_random, seed=self.seed)
        if head is None:
            return None
        probabilities = head.probabilities(self.features)
        chosen = np.zeros(len(rows), bool) if chosen_before is None else chosen_before
        return Lesson(classes, probabilities, rows, head.held_out, class_ids, is_random, chosen & is_random)
