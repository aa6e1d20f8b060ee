"""Plays a session of questions and answers on examples whose labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfautolabel.active.answer_head import NormalizedFeatures, learn_answers
from tfautolabel.active.batches import next_batch
from tfautolabel.active.contract import PoolState, Strategy
from tfautolabel.active.geometry import PoolGeometry
from tfautolabel.active.oracle import Oracle
from tfautolabel.active.strategies import DEFAULT_STRATEGY


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
    pool = NormalizedFeatures(features)
    test = None if test_features is None else NormalizedFeatures(test_features, pool.power)
    head = learn_answers(pool, rows, answers, n_classes, sampling=sampling, seed=seed)
    known = None if head is None else head.probabilities(pool)
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
                judging=rows[is_random],
                seed=seed,
            )
            if not len(batch.rows):
                break
            rows, drawn = np.concatenate([rows, batch.rows]), batch.drawn
            answers = np.concatenate([answers, oracle.answer(batch.rows)])
            is_random = np.concatenate([is_random, batch.is_random])
            head = learn_answers(pool, rows, answers, n_classes, sampling=sampling, seed=seed)
            known = None if head is None else head.probabilities(pool)
        said = _classes_of(known, answers, len(pool))
        said[rows] = answers
        tested = np.nan
        if test is not None and test_truth is not None:
            of_test = _classes_of(None if head is None else head.probabilities(test), answers, len(test))
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


def _classes_of(known: np.ndarray | None, answers: np.ndarray, n: int) -> np.ndarray:
    """Returns (n,) int64 from (n, k) probabilities; the only class that was seen, or -1 before any."""
    if known is None:
        return np.full(n, answers[0] if len(answers) else -1, np.int64)
    return np.asarray(known.argmax(axis=1), np.int64)
