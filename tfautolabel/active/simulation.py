"""Plays a session of questions and answers on examples whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.active.batches import next_batch
from tfautolabel.active.contract import PoolState, Strategy
from tfautolabel.active.geometry import PoolGeometry
from tfautolabel.active.oracle import Oracle
from tfautolabel.active.strategies import DEFAULT_STRATEGY
from tfautolabel.data.shares import share_weights


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a session gave, after each of s batches.

    Attributes:
        sizes: (s,) int64, the labels so far.
        pool_accuracy: (s,) float64, the share of the pool with the right label, where the answers count as
            given and the head labels the others.
        test_accuracy: (s,) float64, the head's accuracy on the test examples; NaN without any.
        classes_found: (s,) int64, how many classes have a label.
        rows: (m,) int64, the labelled rows in the order of the answers, the start first.
        answers: (m,) int64, their labels.
        is_random: (m,) bool, which of them were drawn at random.
        drawn: how many rows of the session's random order were drawn; see `random_sample`.
    """

    sizes: np.ndarray
    pool_accuracy: np.ndarray
    test_accuracy: np.ndarray
    classes_found: np.ndarray
    rows: np.ndarray
    answers: np.ndarray
    is_random: np.ndarray
    drawn: int


def simulate(
    features: np.ndarray,
    truth: np.ndarray,
    n_classes: int,
    *,
    sizes: Sequence[int],
    start: np.ndarray | Sequence[int] = (),
    strategy: str | Strategy = DEFAULT_STRATEGY,
    random_share: float = 0.0,
    error_rate: float = 0.0,
    sampling: str = "chosen",
    test_features: np.ndarray | None = None,
    test_truth: np.ndarray | None = None,
    seed: int = 0,
) -> Simulation:
    """Asks batch after batch, and fits the default head to all answers after each.

    Args:
        features: (n, d) float32, of the pool.
        truth: (n,) int64 in [0, k).
        n_classes: k.
        sizes: ascending numbers of labels, each the end of a batch; the session stops early where the pool
            does.
        start: (m,) int64, rows that have a right label before the first question.
        strategy: a key of `QUERY_STRATEGIES`, or a function that keeps the contract.
        random_share: in [0, 1], the share of questions that are drawn at random.
        error_rate: in [0, 1), how often an answer is wrong.
        sampling: how the head takes the shares of the labels, a key of `SAMPLINGS`.
        test_features: (t, d) float32, examples outside the pool.
        test_truth: (t,) int64, their classes.
        seed: decides the answers, the batches and the folds of the head.

    Returns:
        The curves, and what was asked.

    Raises:
        ValueError: If the sizes do not ascend from the start, or an argument is out of range.
    """
    rows = np.asarray(start, np.int64)
    if list(sizes) != sorted(set(sizes)) or (len(sizes) and sizes[0] < len(rows)):
        raise ValueError(f"sizes ascend from the {len(rows)} labels of the start on. Received: {list(sizes)}")
    answers = np.asarray(truth, np.int64)[rows]
    is_random = np.zeros(len(rows), bool)
    oracle = Oracle(truth, n_classes, error_rate=error_rate, seed=seed)
    geometry = PoolGeometry(features, seed)
    head = _fit(features, rows, answers, n_classes, sampling, seed)
    pool, test = _Examples(features), None if test_features is None else _Examples(test_features)
    known = head.probabilities(pool)
    first, drawn = len(rows), 0
    curves: list[tuple[int, float, float, int]] = []
    for size in sizes:
        if size > len(rows):
            state = PoolState(features, rows, known, n_classes, geometry=geometry)
            batch = next_batch(
                state,
                size - len(rows),
                strategy=strategy,
                random_share=random_share,
                asked=len(rows) - first,
                seed=seed,
            )
            if not len(batch.rows):
                break
            rows, drawn = np.concatenate([rows, batch.rows]), batch.drawn
            answers = np.concatenate([answers, oracle.answer(batch.rows)])
            is_random = np.concatenate([is_random, batch.is_random])
            head = _fit(features, rows, answers, n_classes, sampling, seed)
            known = head.probabilities(pool)
        said = head.classes_of(known, len(features))
        said[rows] = answers
        tested = np.nan
        if test is not None and test_truth is not None:
            of_test = head.classes_of(head.probabilities(test), len(test.features))
            tested = float((of_test == test_truth).mean())
        curves.append((len(rows), float((said == truth).mean()), tested, len(np.unique(answers))))
    columns = list(zip(*curves, strict=True)) or [(), (), (), ()]
    return Simulation(
        np.array(columns[0], np.int64),
        np.array(columns[1], np.float64),
        np.array(columns[2], np.float64),
        np.array(columns[3], np.int64),
        rows,
        answers,
        is_random,
        drawn,
    )


class _Examples:
    """Features that many heads predict, normalised once: the heads of a session hardly ever differ in it.

    Args:
        features: (n, d) float32.
    """

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        self._normalized: dict[float, Any] = {}

    def normalized_by(self, head: Any) -> Any:
        """Returns (n, d) float32, as a linear head normalises the features."""
        power = float(head.normalization.power)
        if power not in self._normalized:
            self._normalized[power] = head.normalization(self.features)
        return self._normalized[power]


class _SeenClasses:
    """The default head on the classes that have labels; no head before there are two.

    Args:
        seen: (s,) int64, the class ids that have a label.
        n_classes: k.
        head: a `LinearHead` of the seen classes; None for fewer than two.
    """

    def __init__(self, seen: np.ndarray, n_classes: int, head: Any) -> None:
        self.seen, self.n_classes, self.head = seen, n_classes, head

    def probabilities(self, examples: _Examples) -> np.ndarray | None:
        """Returns (n, k) float32, 0 for classes without a label; None without a head."""
        if self.head is None:
            return None
        found = np.zeros((len(examples.features), self.n_classes), np.float32)
        found[:, self.seen] = np.asarray(self.head.dense(examples.normalized_by(self.head)))
        return found

    def classes_of(self, known: np.ndarray | None, n: int) -> np.ndarray:
        """Returns (n,) int64 from (n, k) probabilities; the only class that was seen, or -1 before any."""
        if known is None:
            return np.full(n, self.seen[0] if len(self.seen) else -1, np.int64)
        return np.asarray(known.argmax(axis=1), np.int64)


def _fit(
    features: np.ndarray, rows: np.ndarray, answers: np.ndarray, n_classes: int, sampling: str, seed: int
) -> _SeenClasses:
    # Imported late: strategies alone need no TensorFlow.
    from tfautolabel.heads import build_head

    seen, class_ids = np.unique(answers, return_inverse=True)
    if len(seen) < 2:
        return _SeenClasses(seen, n_classes, None)
    head = build_head("linear", np.shape(features)[1], len(seen), seed)
    head.fit(
        np.asarray(features[rows], np.float32),
        class_ids,
        class_weight=share_weights(class_ids, len(seen), sampling),
    )
    return _SeenClasses(seen, n_classes, head)
