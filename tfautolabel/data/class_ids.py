"""The class ids of a data set's rows, also of many rows of which few have a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfautolabel.data.row_runs import LONG, RowRuns, Rows
from tfautolabel.labels import ABSTAIN


class FewLabels:
    """Class ids of n rows, held for the labelled ones only.

    Args:
        count: n.
        rows: (m,) int64, ascending, the labelled rows.
        class_ids: (m,) int64, their class ids; none is `ABSTAIN`.
    """

    def __init__(self, count: int, rows: np.ndarray, class_ids: np.ndarray) -> None:
        self._count = count
        self.rows = np.asarray(rows, np.int64)
        self.class_ids = np.asarray(class_ids, np.int64)

    def __len__(self) -> int:
        return self._count


ClassIds = np.ndarray | FewLabels
"""(n,) class ids, `ABSTAIN` (-1) where there is no label."""


def held_ids(class_ids: Sequence[int] | ClassIds | None, count: int) -> ClassIds:
    """Returns class ids so that nobody can change them; None stands for `count` rows without labels."""
    if isinstance(class_ids, FewLabels):
        return class_ids
    if class_ids is None and count > LONG:
        return FewLabels(count, np.zeros(0), np.zeros(0))
    held = np.full(count, ABSTAIN, np.int64) if class_ids is None else np.array(class_ids, np.int64)
    held.setflags(write=False)
    return held


def dense_ids(class_ids: ClassIds) -> np.ndarray:
    """Returns (n,) int64 that cannot be written to."""
    if not isinstance(class_ids, FewLabels):
        return class_ids
    if not len(class_ids.rows):
        return np.broadcast_to(np.int64(ABSTAIN), (len(class_ids),))
    whole = np.full(len(class_ids), ABSTAIN, np.int64)
    whole[class_ids.rows] = class_ids.class_ids
    whole.setflags(write=False)
    return whole


def given_ids(class_ids: ClassIds) -> np.ndarray:
    """Returns the class ids that occur, each at least once, and `ABSTAIN` perhaps."""
    return class_ids.class_ids if isinstance(class_ids, FewLabels) else class_ids


def labelled_rows(class_ids: ClassIds) -> np.ndarray:
    """Returns the rows with a label, (m,) int64, ascending."""
    return class_ids.rows if isinstance(class_ids, FewLabels) else np.flatnonzero(class_ids != ABSTAIN)


def unlabelled_rows(class_ids: ClassIds) -> Rows:
    """Returns the other rows, ascending."""
    if isinstance(class_ids, FewLabels):
        return RowRuns.first(len(class_ids)).but(class_ids.rows)
    return np.flatnonzero(class_ids == ABSTAIN)


def ids_at(class_ids: ClassIds, rows: Rows) -> ClassIds:
    """Returns the class ids of some rows."""
    if not isinstance(class_ids, FewLabels):
        return np.asarray(class_ids[np.asarray(rows)])
    if isinstance(rows, RowRuns):
        places = rows.places(class_ids.rows)
        there = places >= 0
        return FewLabels(len(rows), places[there], class_ids.class_ids[there])
    found = np.full(len(rows), ABSTAIN, np.int64)
    if len(class_ids.rows):
        near = np.minimum(np.searchsorted(class_ids.rows, rows), len(class_ids.rows) - 1)
        known = class_ids.rows[near] == rows
        found[known] = class_ids.class_ids[near[known]]
    return found


def replaced_ids(class_ids: ClassIds, new_ids: np.ndarray) -> ClassIds:
    """Returns other class ids for the same rows.

    Args:
        class_ids: of n rows.
        new_ids: (k + 1,) the class id in place of each, with that of `ABSTAIN`, which stays, at the end.
    """
    if not isinstance(class_ids, FewLabels):
        return np.asarray(new_ids[class_ids])
    found = new_ids[class_ids.class_ids]
    kept = found != ABSTAIN
    return FewLabels(len(class_ids), class_ids.rows[kept], found[kept])
