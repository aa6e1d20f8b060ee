"""Finds given labels that are probably wrong, and estimates how many there are.

A label is judged by the probabilities of a model that has not seen its example. The shapes are cleanlab's:
n labels and (n, k) probabilities in, n scores in [0, 1] out, and a lower score is worse. The score is the
probability of the given label, "self confidence" (Northcutt, Jiang and Chuang, Confident Learning, JAIR 70,
2021).

The number of wrong labels is the geometric mean of two counts. The count of that paper misses wrong labels
between classes that are alike, and takes mistakes of a weak model for wrong labels. The other count adds up
how clearly the model contradicts each label; it is too high if few labels are wrong, and too low if many are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfautolabel.measures.intervals import accuracy_interval

FEWEST_TO_CHECK = 12
"""A person is asked to look at so many labels at least: checking fewer hardly pays for the start."""
MORE_TO_CHECK = 1.5
"""A person is asked to look at so many times the number of wrong labels: right ones stand among them."""


@dataclass(frozen=True, eq=False)
class LabelQuality:
    """What held-out predictions say about n given labels.

    Attributes:
        scores: (n,) float64 in [0, 1], the probability of the given label; lower is worse.
        likelier: (n,) int64, the most probable class; the given one where no other class is more probable.
        order: (n,) int64, all rows in the order in which they should be checked. First come the rows with a
            likelier class, by their scores; last come rows that cannot be judged.
        chances: (n,) float64 in [0, 1], roughly how probable it is that each given label is wrong; zeros if
            `number` is None.
        number: about how many of the n labels are wrong; None if the model is not clearly better than always
            answering the commonest class, because it then says nothing about labels.
    """

    scores: np.ndarray
    likelier: np.ndarray
    order: np.ndarray
    chances: np.ndarray
    number: float | None

    @property
    def suspects(self) -> np.ndarray:
        """The rows whose labels are believed to be wrong, int64, worst first: as many as `number` says."""
        return self._first(self.number or 0.0)

    @property
    def to_check(self) -> np.ndarray:
        """The rows that a person should check first, int64, worst first.

        `MORE_TO_CHECK` times as many as are wrong, at least `FEWEST_TO_CHECK`; only rows with a likelier
        class.
        """
        return self._first(max(FEWEST_TO_CHECK, MORE_TO_CHECK * (self.number or 0.0)))

    def wrong_among(self, rows: np.ndarray) -> float:
        """Returns about how many labels of some rows are wrong."""
        return float(self.chances[rows].sum())

    def _first(self, wanted: float) -> np.ndarray:
        if self.number is None:
            return self.order[:0]
        return self.order[: min(round(wanted), int(np.count_nonzero(self.chances)))]


def label_scores(class_ids: np.ndarray, out_of_fold: np.ndarray) -> np.ndarray:
    """Returns how well held-out predictions support each given label.

    Args:
        class_ids: (n,) int64 in [0, k), the given labels.
        out_of_fold: (n, k), each row predicted by a model that has not seen the example.

    Returns:
        (n,) float64 in [0, 1]; lower is worse.

    Raises:
        ValueError: If the shapes do not agree or a class id is out of range.

    Examples:
        >>> label_scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]])).tolist()
        [0.9, 0.3]
    """
    class_ids, out_of_fold = _checked(class_ids, out_of_fold)
    scores: np.ndarray = np.clip(out_of_fold[np.arange(len(class_ids)), class_ids], 0.0, 1.0)
    return scores


def judge_labels(
    class_ids: np.ndarray, out_of_fold: np.ndarray, *, groups: np.ndarray | None = None
) -> LabelQuality:
    """Scores given labels, puts them in order, and estimates how many are wrong.

    The number is rough: `benchmarks/label_errors.py` shows how often it is within a factor of two.

    Args:
        class_ids: (n,) int64 in [0, k), the given labels.
        out_of_fold: (n, k), each row predicted by a model that has seen neither the example nor its copies.
        groups: (n,) int64, equal for copies of one example; by default no two examples are copies. A class
            with a single example cannot be judged: a model without that example does not know the class.

    Returns:
        The judgement.

    Raises:
        ValueError: If the shapes do not agree or a class id is out of range.
    """
    class_ids, out_of_fold = _checked(class_ids, out_of_fold)
    n, k = out_of_fold.shape
    rows, scores = np.arange(n), label_scores(class_ids, out_of_fold)
    judged = _judged(class_ids, k, np.arange(n) if groups is None else np.asarray(groups))
    predicted = out_of_fold.argmax(axis=1) if n else np.zeros(0, np.int64)
    sure = out_of_fold[rows, predicted]
    contradicted = judged & (predicted != class_ids) & (sure > scores)
    likelier = np.where(contradicted, predicted, class_ids)
    order = np.lexsort((rows, scores, ~contradicted, ~judged))
    if not _says_something(class_ids[judged], predicted[judged], k):
        return LabelQuality(scores, likelier, order, np.zeros(n), None)
    odds = np.where(contradicted, (sure - scores) / np.maximum(sure + scores, 1e-12), 0.0)
    usual = np.bincount(class_ids, scores, minlength=k) / np.maximum(np.bincount(class_ids, minlength=k), 1)
    confident = int(np.count_nonzero(contradicted & (sure >= usual[predicted])))
    # Half a label more in each count, so that one count of zero does not decide alone.
    number = float(np.sqrt((confident + 0.5) * (float(odds.sum()) + 0.5)))
    number = min(number, float(np.count_nonzero(contradicted)))
    return LabelQuality(scores, likelier, order, _scaled_to(odds, number), number)


def _judged(class_ids: np.ndarray, n_classes: int, groups: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: which labels belong to a class with examples that are no copies of each other."""
    pairs = (
        np.unique(np.stack([class_ids, groups], axis=1), axis=0) if len(class_ids) else np.zeros((0, 2), int)
    )
    return np.asarray(np.bincount(pairs[:, 0], minlength=n_classes)[class_ids] > 1)


def _says_something(class_ids: np.ndarray, predicted: np.ndarray, n_classes: int) -> bool:
    if len(class_ids) == 0:
        return False
    commonest = np.bincount(class_ids, minlength=n_classes).max() / len(class_ids)
    correct = int(np.count_nonzero(predicted == class_ids))
    return bool(accuracy_interval(correct, len(class_ids))[0] > commonest)


def _scaled_to(chances: np.ndarray, total: float) -> np.ndarray:
    """Returns chances times a common factor, none above 1, so that they sum to a total within reach."""
    low, high = 0.0, 1.0
    while np.minimum(chances * high, 1.0).sum() < total and high < 1e12:
        high *= 2.0
    for _ in range(60):
        middle = (low + high) / 2.0
        if np.minimum(chances * middle, 1.0).sum() < total:
            low = middle
        else:
            high = middle
    return np.minimum(chances * high, 1.0)


def _checked(class_ids: np.ndarray, out_of_fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    class_ids, out_of_fold = np.asarray(class_ids), np.asarray(out_of_fold, np.float64)
    if out_of_fold.ndim != 2 or class_ids.shape != (len(out_of_fold),):
        raise ValueError(
            "class_ids must have shape (n,) and out_of_fold (n, k). Received: shapes "
            f"{class_ids.shape} and {out_of_fold.shape}"
        )
    if len(class_ids) and not (class_ids.min() >= 0 and class_ids.max() < out_of_fold.shape[1]):
        raise ValueError(
            f"class_ids must lie in [0, {out_of_fold.shape[1] - 1}]. "
            f"Received: {np.unique(class_ids)[[0, -1]]}"
        )
    return class_ids.astype(np.int64), out_of_fold
