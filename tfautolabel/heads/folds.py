"""Cross-validation folds for few labels."""

from __future__ import annotations

import numpy as np


def stratified_folds(class_ids: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Deals the examples of each class in turn to the folds, after a shuffle.

    Every fold gets nearly as many examples as every other, of each class and in all. The only example of a
    class is held out like any other: the model that has not seen it must then err, which is honest.

    Args:
        class_ids: (n,) int64, n >= 2.
        n_folds: at least 2; no more folds than examples are made.
        seed: the same seed and data give the same folds.

    Returns:
        (n,) int64 in [0, n_folds), the fold in which each example is held out.

    Raises:
        ValueError: If there are fewer than two examples or folds.

    Examples:
        >>> folds = stratified_folds(np.array([0, 0, 0, 1, 1, 1]), 3, seed=0)
        >>> np.bincount(folds).tolist()
        [2, 2, 2]
    """
    if n_folds < 2 or len(class_ids) < 2:
        raise ValueError(
            f"cross-validation needs at least two folds and two examples. Received: n_folds={n_folds}, "
            f"{len(class_ids)} examples"
        )
    n_folds = min(n_folds, len(class_ids))
    order = np.random.default_rng(seed).permutation(len(class_ids))
    by_class = order[np.argsort(class_ids[order], kind="stable")]
    folds = np.empty(len(class_ids), np.int64)
    folds[by_class] = np.arange(len(class_ids)) % n_folds
    return folds
