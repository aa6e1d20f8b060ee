"""Episodes: small tasks out of earlier ones, and how a map learns from them.

Each episode takes some classes of one task, a few examples of each as labels, and others to be predicted
(Vinyals et al., Matching Networks, NeurIPS 2016). The map begins as `whitening`. A quarter of each task's
classes, at least two, is kept back where there are enough. The map of the step that predicts episodes of
these classes best is taken, which may be the first. Without such classes, it stays what whitening gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.training.meta.tasks import Task
from tfautolabel.training.meta.whitening import whitening

WAYS, SHOTS, QUERIES = 5, 4, 8
"""The most classes of an episode, and of each class the most labels and examples to be predicted."""
STEPS, EVERY = 200, 20
"""Steps of Adam with one episode each, and after how many the kept back classes judge."""
JUDGED = 30
"""So many episodes of these classes judge."""
RATE = 1e-3
SHARPNESS = 10.0
"""What scores are multiplied with at first; it is learnt too."""

Scores = Callable[[Any, Any, Any, Any], Any]
"""From labelled examples (s, d), their classes one-hot (s, n), others (q, d) and the sharpness to scores of
the others (q, n)."""


@dataclass(frozen=True, eq=False)
class Episode:
    """A small task.

    Attributes:
        support: (s, d) float32, the labelled examples.
        support_ids: (s,) int64 in [0, ways).
        query: (q, d) float32, the examples to be predicted.
        query_ids: (q,) int64 in [0, ways).
        ways: the number of classes.
    """

    support: np.ndarray
    support_ids: np.ndarray
    query: np.ndarray
    query_ids: np.ndarray
    ways: int


def drawn_episode(tasks: list[Task], rng: np.random.Generator) -> Episode:
    """Draws an episode of one task, whose classes all have two examples or more."""
    task = tasks[int(rng.integers(len(tasks)))]
    numbers = np.unique(task.class_ids)
    chosen = rng.permutation(numbers)[:WAYS]
    support, query = [], []
    for number in chosen:
        rows = rng.permutation(np.flatnonzero(task.class_ids == number))
        labels = min(SHOTS, len(rows) // 2)
        support.append(rows[:labels])
        query.append(rows[labels : labels + QUERIES])
    ids = [np.repeat(np.arange(len(chosen)), [len(rows) for rows in part]) for part in (support, query)]
    first, second = np.concatenate(support), np.concatenate(query)
    return Episode(task.features[first], ids[0], task.features[second], ids[1], len(chosen))


def split_classes(tasks: list[Task], rng: np.random.Generator) -> tuple[list[Task], list[Task]]:
    """Returns tasks to learn from, and tasks of the classes that are kept back; either may be empty."""
    learning: list[Task] = []
    kept_back: list[Task] = []
    for task in tasks:
        numbers, counts = np.unique(task.class_ids, return_counts=True)
        numbers = rng.permutation(numbers[counts >= 2])
        count = max(2, len(numbers) // 4)
        if len(numbers) < count + 2:
            continue
        for part, found in ((numbers[count:], learning), (numbers[:count], kept_back)):
            rows = np.isin(task.class_ids, part)
            found.append(Task(task.features[rows], task.class_ids[rows]))
    return learning, kept_back


def learnt_map(tasks: list[Task], scores: Scores, seed: int) -> np.ndarray:
    """Learns a map by episodes.

    Args:
        tasks: with features of length one.
        scores: what an episode's labels say of its examples to be predicted.
        seed: determines kept back classes and episodes.

    Returns:
        (d, d) float32.

    Raises:
        ValueError: If no class has two different examples.
    """
    rng = np.random.default_rng(seed)
    learning, kept_back = split_classes(tasks, rng)
    if not learning:
        return whitening(tasks)
    # The kept back classes may not teach the map that they judge.
    matrix = tf.Variable(whitening(learning))
    sharpness = tf.Variable(np.float32(np.log(SHARPNESS)))
    judges = [drawn_episode(kept_back, rng) for _ in range(JUDGED)]

    def loss(episode: Episode) -> Any:
        support, query = (_unit(tf.matmul(rows, matrix)) for rows in (episode.support, episode.query))
        labels = tf.one_hot(episode.support_ids, episode.ways)
        found = scores(support, labels, query, tf.exp(sharpness))
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=episode.query_ids, logits=found)
        )

    moments = [
        [np.zeros(one.shape, np.float32), np.zeros(one.shape, np.float32)] for one in (matrix, sharpness)
    ]
    best, taken = np.inf, matrix.numpy()
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            judged = float(np.mean([float(loss(episode)) for episode in judges]))
            if judged < best:
                best, taken = judged, matrix.numpy()
        with tf.GradientTape() as tape:
            value = loss(drawn_episode(learning, rng))
        gradients = tape.gradient(value, [matrix, sharpness])
        for variable, gradient, moment in zip((matrix, sharpness), gradients, moments, strict=True):
            variable.assign_sub(_adam(gradient.numpy(), moment, step + 1))
    return np.asarray(taken, np.float32)


def _adam(gradient: np.ndarray, moment: list[np.ndarray], step: int) -> np.ndarray:
    """Returns a step of Adam (Kingma and Ba, arXiv 1412.6980) and keeps its moments."""
    moment[0] = 0.9 * moment[0] + 0.1 * gradient
    moment[1] = 0.999 * moment[1] + 0.001 * gradient**2
    mean, square = moment[0] / (1.0 - 0.9**step), moment[1] / (1.0 - 0.999**step)
    return np.asarray(RATE * mean / (np.sqrt(square) + 1e-8), np.float32)


def _unit(rows: Any) -> Any:
    return rows * tf.math.rsqrt(tf.maximum(tf.reduce_sum(rows**2, axis=1, keepdims=True), 1e-14))
