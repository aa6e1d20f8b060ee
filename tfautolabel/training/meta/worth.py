"""How many labels a map is worth: measured on the earlier sets themselves, which have labels enough.

Each set is judged by a map that the others teach. On a few labels of it, the plain head is compared with the
head that may use the map, and the plain head's accuracy with more labels tells how many would do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfautolabel.heads import LinearHead
from tfautolabel.heads.meta import LEAST_LABELS, MetaHead
from tfautolabel.training.meta.tasks import Task, common_power, normalized

LABELS = 8
"""So many labels a class the head has at first; more where these would be too few to judge a map."""
MORE = (1.0, 1.5, 2.0, 3.0, 4.0)
"""Multiples of these labels with which the plain head is measured too."""
DRAWS = 3
MOST_SETS, MOST_CLASSES, MOST_TESTED = 5, 10, 1_000
KEPT = 4
"""Of each class so many examples at least are there to be predicted."""

Learn = Callable[[list[Task], int], np.ndarray]


@dataclass(frozen=True)
class OnOneSet:
    """What a map that the other sets taught is worth on one set.

    Attributes:
        labels: of a class, that the head had.
        points: the gain in accuracy in points, the mean of `DRAWS` draws.
        more: so many labels of a class more give the plain head the same; 0 without a gain.
        at_least: whether the gain is beyond what the most labels gave.
    """

    labels: int
    points: float
    more: float
    at_least: bool


def worth_of(tasks: list[Task], learn: Learn, seed: int) -> dict[str, Any]:
    """Measures what a method's maps are worth on sets that did not teach them.

    Args:
        tasks: the earlier sets, with features as a backbone gives them.
        learn: the method.
        seed: determines all draws.

    Returns:
        A record for JSON: "sets", how many were measured; with one or more, the means "points" and "more" of
        `OnOneSet`; and "why" in a sentence.
    """
    found: list[OnOneSet] = []
    for number, task in enumerate(tasks):
        others = [*tasks[:number], *tasks[number + 1 :]]
        some = _enough(task, seed)
        if others and some is not None and len(found) < MOST_SETS:
            found.append(_on(some, others, learn, seed))
    if not found:
        why = (
            f"it takes two earlier sets or more, with {2 * LABELS} labels a class or more, to say how many "
            "labels it is worth"
        )
        return {"sets": 0, "why": why}
    points, more = np.array([one.points for one in found]), np.array([one.more for one in found])
    least = "at least " if any(one.at_least for one in found) else "about "
    gained = "worth no label"
    if more.mean() >= 0.5:
        count = round(float(more.mean()))
        gained = f"worth {least}{count} {'label' if count == 1 else 'labels'} a class more"
    counts = sorted({one.labels for one in found})
    beside = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = f"{points.mean():+.1f} points ({points.min():+.1f} to {points.max():+.1f})"
    why = (
        f"on {len(found)} earlier {'set' if len(found) == 1 else 'sets'}, each with what the others taught, "
        f"it is {gained} beside {beside}: {spread}"
    )
    return {
        "sets": len(found),
        "points": round(float(points.mean()), 2),
        "more": round(float(more.mean()), 1),
        "why": why,
    }


def _enough(task: Task, seed: int) -> Task | None:
    """Returns classes with enough labels to measure, at most `MOST_CLASSES`; None without two of them."""
    numbers, counts = np.unique(task.class_ids, return_counts=True)
    enough = numbers[counts >= 2 * LABELS + KEPT]
    chosen = np.random.default_rng(seed).permutation(enough)[:MOST_CLASSES]
    if len(chosen) < 2:
        return None
    rows = np.isin(task.class_ids, chosen)
    own = np.unique(task.class_ids[rows], return_inverse=True)[1]
    some = Task(task.features[rows], own)
    return some if np.bincount(own).min() >= 2 * _labels(some) + KEPT else None


def _labels(task: Task) -> int:
    return max(LABELS, int(np.ceil(LEAST_LABELS / len(np.unique(task.class_ids)))))


def _on(task: Task, others: list[Task], learn: Learn, seed: int) -> OnOneSet:
    power = common_power(others)
    matrix = learn([normalized(one, power) for one in others], seed)
    least, k = _labels(task), int(task.class_ids.max()) + 1
    room = int(np.bincount(task.class_ids).min()) - KEPT
    sizes = [int(least * times) for times in MORE if int(least * times) <= room]
    plain, mapped = np.zeros((DRAWS, len(sizes))), np.zeros(DRAWS)
    for draw in range(DRAWS):
        rng = np.random.default_rng([seed, draw])
        order = [rng.permutation(np.flatnonzero(task.class_ids == number)) for number in range(k)]
        tested = rng.permutation(np.concatenate([rows[sizes[-1] :] for rows in order]))[:MOST_TESTED]
        for place, size in enumerate(sizes):
            known = np.concatenate([rows[:size] for rows in order])
            head = LinearHead(task.features.shape[1], k, seed=seed)
            if place == 0:
                head = MetaHead(task.features.shape[1], k, seed=seed)
                head.use_map(matrix, power)
            head.compile()
            head.fit(task.features[known], task.class_ids[known])
            rows, truth = task.features[tested], task.class_ids[tested]
            plain[draw, place] = _right(head.dense(head.normalization(rows)), truth)
            if place == 0:
                mapped[draw] = _right(head(rows), truth)
    return _compared(sizes, plain.mean(axis=0), float(mapped.mean()))


def _compared(sizes: list[int], plain: np.ndarray, mapped: float) -> OnOneSet:
    """Finds the labels a class with which the plain head is as good as the mapped one with the fewest.

    Args:
        sizes: labels a class, ascending.
        plain: (m,) in [0, 1], the plain head's accuracy with each.
        mapped: in [0, 1], the mapped head's with the fewest.
    """
    curve = np.maximum.accumulate(plain)
    # Of equal values the first counts: more labels than these gave nothing.
    values, first = np.unique(curve, return_index=True)
    same = float(np.interp(mapped, values, np.array(sizes, float)[first]))
    points = 100.0 * (mapped - float(plain[0]))
    return OnOneSet(sizes[0], points, same - sizes[0] if points > 0.0 else 0.0, mapped > float(curve[-1]))


def _right(probabilities: Any, truth: np.ndarray) -> float:
    found = keras.ops.convert_to_numpy(probabilities).argmax(axis=1)
    return float((found == truth).mean())
