"""Names of many rows in little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np

from tfautolabel.data.row_names import RowNames

AT_ONCE = 65_536
"""How many names are compared at a time."""

NAMES = np.dtypes.StringDType()
"""A short name takes 16 bytes in this type; a Python string takes 60."""


def as_names(ids: Sequence[str] | np.ndarray | RowNames) -> np.ndarray:
    """Returns (n,) names; what UTF-8 cannot hold (file names in another encoding) becomes an escape."""
    if isinstance(ids, RowNames):
        return cast(np.ndarray, ids)  # it is read like one
    if isinstance(ids, np.ndarray) and ids.dtype == NAMES:
        if ids.ndim == 1 and ids.base is None and not ids.flags.writeable:
            return ids  # nobody can change them, so millions of names need no copy
        return ids.reshape(len(ids)).copy()
    try:
        return np.array(ids, dtype=NAMES).reshape(len(ids))
    except UnicodeEncodeError:
        return np.array([str(name).encode("utf-8", "backslashreplace").decode() for name in ids], NAMES)


def check_unique(name: str, values: Sequence[str] | np.ndarray) -> None:
    """Refuses names that repeat.

    Args:
        name: what they are, for the message.
        values: n names.

    Raises:
        ValueError: If one does.
    """
    # Their order needs only a fraction of the memory of a set, and half of that of sorted copies.
    if isinstance(values, RowNames):
        return
    if isinstance(values, np.ndarray):
        repeated = _repeated(values)
    else:
        repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{name} must be unique. Received more than once: {shorten(repeated)}")


def _repeated(values: np.ndarray) -> list[str]:
    order = np.argsort(values, kind="stable")
    found: set[str] = set()
    for start in range(0, len(order) - 1, AT_ONCE):
        some = values[order[start : start + AT_ONCE + 1]]
        found.update(map(str, some[1:][some[1:] == some[:-1]].tolist()))
    return sorted(found)


def shorten(names: Sequence[str]) -> str:
    """Returns the first five names, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
