"""A random sample that holds every class in proportion."""

from __future__ import annotations

import numpy as np

from tfautolabel.labels import ABSTAIN


def stratified_sample(class_ids: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws rows so that each class has its share, and leaves at least one example of every class behind.

    Rows that are `ABSTAIN` are a group like the classes, but all of them may be drawn.

    Args:
        class_ids: (n,) int64, -1 = `ABSTAIN`.
        count: how many rows to draw, in [0, n].
        rng: where the randomness comes from.

    Returns:
        Distinct row indices, `count` of them, or fewer where only last examples of classes are left.

    Examples:
        >>> rows = stratified_sample(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 4, np.random.default_rng(0))
        >>> sorted((rows // 4).tolist())
        [0, 0, 1, 1]
    """
    shuffled = rng.permutation(len(class_ids))
    _, groups, sizes = np.unique(class_ids[shuffled], return_inverse=True, return_counts=True)
    rank_in_group = np.empty(len(shuffled), np.int64)
    by_group = np.argsort(groups, kind="stable")
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    rank_in_group[by_group] = np.arange(len(shuffled)) - starts

    # Webster's method of sharing out seats: the member of rank r in a group of s queues at (r + 1/2) / s, so
    # any first part of the queue holds each group in proportion. The shuffle settles ties.
    queue = np.argsort((rank_in_group + 0.5) / sizes[groups], kind="stable")
    last_of_class = (rank_in_group == sizes[groups] - 1) & (class_ids[shuffled] != ABSTAIN)
    return np.asarray(shuffled[queue[~last_of_class[queue]][:count]])
