"""Names of many rows in little memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

NAMES = np.dtypes.StringDType()
"""A short name takes 16 bytes in this type; a Python string takes 60."""


def as_names(ids: Sequence[str] | np.ndarray) -> np.ndarray:
    """Returns (n,) names; what UTF-8 cannot hold (file names in another encoding) becomes an escape."""
    if isinstance(ids, np.ndarray) and ids.dtype == NAMES:
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
    # Sorting the names needs only a fraction of the memory of a set.
    if isinstance(values, np.ndarray):
        in_order = np.sort(values)
        repeated = np.unique(in_order[1:][in_order[1:] == in_order[:-1]]).tolist()
    else:
        repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise ValueError(f"{name} must be unique. Received more than once: {shorten(repeated)}")


def shorten(names: Sequence[str]) -> str:
    """Returns the first five names, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
