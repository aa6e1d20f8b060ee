"""Cross-validation folds for few labels; they depend on the examples, not on their order."""

from __future__ import annotations

import numpy as np


def content_order(features: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Returns an order of the examples that depends only on their contents.

    Training sums floating-point numbers and deals examples to folds and batches. Rows in this order therefore
    give the same bits for the same examples, whatever their first order was. Examples with equal features and
    classes keep their relative order; they are interchangeable.

    Args:
        features: (n, ...) numbers that tell the examples apart, taken as float32.
        class_ids: (n,) int64, to break ties.

    Returns:
        (n,) int64, a permutation.

    Examples:
        >>> features = np.array([[3.0, 1.0], [0.5, 2.0], [0.5, 1.0]])
        >>> content_order(features, np.array([0, 1, 0])).tolist()
        [2, 1, 0]
    """
    by_class = np.argsort(class_ids, kind="stable")
    rows = np.asarray(features, np.float32).reshape(len(class_ids), -1)[by_class]
    if rows.size == 0:
        return by_class
    # The bytes of big-endian numbers of one sign sort as the numbers do. A difference in their last bits, as
    # between two batch sizes, hardly ever changes the order. Minus zero equals zero.
    whole = np.ascontiguousarray((rows + np.float32(0.0)).astype(">f4"))
    whole = whole.view(np.dtype((np.void, whole.shape[1] * whole.itemsize))).reshape(-1)
    return by_class[np.argsort(whole, kind="stable")]


def stratified_folds(
    class_ids: np.ndarray, n_folds: int, seed: int, *, content: np.ndarray | None = None
) -> np.ndarray:
    """Deals the examples of each class to the folds in turn, after a shuffle.

    The folds have nearly equal sizes, in total and for each class. The only example of a class is
    held out too. The model that has not seen it must then be wrong, which is honest.

    Args:
        class_ids: (n,) int64, n >= 2.
        n_folds: at least 2; no more folds than examples are made.
        seed: the same seed and data give the same folds.
        content: (n, ...) numbers that tell the examples apart, such as their features. With them, the order
            of the examples does not change their folds. Without them, the position decides.

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
    if content is not None:
        order = content_order(content, class_ids)[order]
    by_class = order[np.argsort(class_ids[order], kind="stable")]
    folds = np.empty(len(class_ids), np.int64)
    folds[by_class] = np.arange(len(class_ids)) % n_folds
    return folds
