"""Cross-validation folds for few labels; they depend on the examples, not on their order."""

from __future__ import annotations

import numpy as np

_COLUMNS_AT_ONCE = 64


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
    rows = np.asarray(features, np.float32)
    if rows.size == 0:
        return by_class
    rows = rows.reshape(len(class_ids), -1)
    # Pools are large, so the rows are compared some columns at a time, and only those that were equal so far.
    places = np.zeros(len(rows), np.int64)
    tied = np.arange(len(rows))
    for start in range(0, rows.shape[1], _COLUMNS_AT_ONCE):
        if not len(tied):
            break
        part = rows[by_class[tied], start : start + _COLUMNS_AT_ONCE]
        order, starts = _sorted_groups(places[tied], part)
        places[tied[order]] = starts
        tied = np.sort(tied[order][_repeated(starts)])
    return by_class[np.argsort(places, kind="stable")]


def _sorted_groups(places: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorts rows by their places so far, then by some columns.

    Args:
        places: (n,) int64, the first place of the rows that were equal so far.
        part: (n, c) float32, the next columns.

    Returns:
        (n,) int64, the order; and (n,) int64, in this order, the first place of rows that still are equal.
    """
    keys = np.empty((len(places), 8 + 4 * part.shape[1]), np.uint8)
    keys[:, :8] = places.astype(">i8").view(np.uint8).reshape(len(places), 8)
    # The bytes of big-endian numbers of one sign sort as the numbers do. A difference in their last bits, as
    # between two batch sizes, hardly ever changes the order. Minus zero equals zero.
    keys[:, 8:] = (part + np.float32(0.0)).astype(">f4").view(np.uint8).reshape(len(places), -1)
    order = np.argsort(keys.view(np.dtype((np.void, keys.shape[1]))).reshape(-1), kind="stable")
    keys, before = keys[order], places[order]
    counted = np.arange(len(order))
    new = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))
    other = np.append(True, before[1:] != before[:-1])
    first, first_before = (np.maximum.accumulate(np.where(one, counted, 0)) for one in (new, other))
    return order, before + first - first_before


def _repeated(ascending: np.ndarray) -> np.ndarray:
    """Returns which of (n,) ascending numbers occur more than once, (n,) bool."""
    same = ascending[1:] == ascending[:-1]
    return np.asarray(np.append(same, False) | np.append(False, same))


def twin_numbers(content: np.ndarray) -> np.ndarray:
    """Numbers examples so that those with equal content, and only those, have the same number.

    Args:
        content: (n, ...) numbers that tell the examples apart, taken as float32.

    Returns:
        (n,) int64 in [0, number of different contents).

    Examples:
        >>> twin_numbers(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])).tolist()
        [0, 1, 0]
    """
    content = np.asarray(content, np.float32)
    if content.size == 0:
        return np.zeros(len(content), np.int64)
    rows = np.ascontiguousarray(content.reshape(len(content), -1) + np.float32(0.0))  # minus zero equals zero
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in rows], np.int64)


def stratified_folds(
    class_ids: np.ndarray,
    n_folds: int,
    seed: int,
    *,
    content: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Deals the examples of each class to the folds in turn, after a shuffle.

    The folds have nearly equal sizes, in total and for each class. The only example of a class is
    held out too. The model that has not seen it must then be wrong, which is honest.

    Copies of an example are in the fold of the example: a model that has seen a copy has seen the example,
    and its accuracy would be too good. If all examples are copies of one, each stands for itself, because
    there is nothing to tell them apart.

    Args:
        class_ids: (n,) int64, n >= 2.
        n_folds: at least 2; no more folds than examples are made.
        seed: the same seed and data give the same folds.
        content: (n, ...) numbers that tell the examples apart, such as their features. With them, the order
            of the examples does not change their folds. Without them, the position decides. Examples with
            equal content are copies.
        groups: (n,) int64, equal for copies; by default only examples with equal `content` are copies.

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
    order = np.random.default_rng(seed).permutation(len(class_ids))
    if content is not None:
        order = content_order(content, class_ids)[order]
        groups = twin_numbers(content) if groups is None else groups
    by_class = order[np.argsort(class_ids[order], kind="stable")]
    numbers = np.arange(len(class_ids)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if len(numbers) and numbers.max() == 0:
        numbers = np.arange(len(class_ids))
    first_of_group = np.sort(np.unique(numbers[by_class], return_index=True)[1])
    dealt = by_class[first_of_group]
    fold_of_group = np.empty(len(dealt), np.int64)
    fold_of_group[numbers[dealt]] = np.arange(len(dealt)) % min(n_folds, len(dealt))
    return fold_of_group[numbers]
