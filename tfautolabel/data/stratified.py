"""Draws a random sample that holds every class in proportion."""

from __future__ import annotations

import numpy as np

from tfautolabel.labels import ABSTAIN


def stratified_sample(class_ids: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draws rows in proportion to the classes, and leaves at least one example of every class.

    Rows with `ABSTAIN` are one more group, of which all rows may be drawn.

    Args:
        class_ids: (n,) int64, -1 = `ABSTAIN`.
        count: how many rows to draw, in [0, n].
        rng: the source of randomness.

    Returns:
        `count` distinct row indices; fewer if only the last examples of classes are left.

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

    # Webster's apportionment: rank r in a group of size s gets the key (r + 1/2) / s, so every prefix of the
    # queue holds each group in proportion. The shuffle breaks ties.
    queue = np.argsort((rank_in_group + 0.5) / sizes[groups], kind="stable")
    last_of_class = (rank_in_group == sizes[groups] - 1) & (class_ids[shuffled] != ABSTAIN)
    return np.asarray(shuffled[queue[~last_of_class[queue]][:count]])
