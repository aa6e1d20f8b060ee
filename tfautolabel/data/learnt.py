"""Which examples were learnt from, told by their contents: on those a model's labels say little of others."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tfautolabel.data.dataset import Dataset
from tfautolabel.data.readers import ReadFailure
from tfautolabel.data.row_groups import read_in_groups
from tfautolabel.labels import Labels

_ROWS = 256
"""Examples in memory at once."""


@dataclass(frozen=True)
class Learnt:
    """The contents that a model has learnt from, whatever their names were.

    Attributes:
        hashes: the SHA-256 of each, 64 hexadecimal digits.
    """

    hashes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset: Dataset, contents: Sequence[str] | None = None) -> Learnt:
        """All examples of a data set that can be read.

        Args:
            dataset: n examples.
            contents: what `Extraction.contents` has for them, to spare reading them again.

        Raises:
            ValueError: If there are not n of them.
        """
        return cls(frozenset(found for found in _contents(dataset, contents) if found))

    def among(self, dataset: Dataset, contents: Sequence[str] | None = None) -> np.ndarray:
        """(n,) bool: which examples of a data set have such a content; `contents` as in `of`."""
        if not self.hashes:
            return np.zeros(len(dataset), bool)
        return np.array([found in self.hashes for found in _contents(dataset, contents)], bool)


def rows_to_measure(learnt_from: np.ndarray) -> np.ndarray:
    """Leaves out what was learnt from, with a warning; where that is all, keeps all, with another one.

    Args:
        learnt_from: (n,) bool.

    Returns:
        (n,) bool.
    """
    kept, total = others_or_all(learnt_from), len(learnt_from)
    if not kept.all():
        count = total - int(kept.sum())
        warnings.warn(f"{count:,} of {total:,} examples were learnt from and are left out", stacklevel=3)
    elif learnt_from.any():
        warnings.warn(
            f"all {total:,} examples were learnt from: what is measured is no accuracy", stacklevel=3
        )
    return kept


def others_or_all(learnt_from: np.ndarray) -> np.ndarray:
    """(n,) bool: what was not learnt from; where that is nothing, all."""
    return np.ones(len(learnt_from), bool) if learnt_from.all() else ~learnt_from


def _contents(dataset: Dataset, given: Sequence[str] | None) -> Sequence[str]:
    if given is not None and len(given) != len(dataset):
        raise ValueError(f"contents must be of {len(dataset)} examples. Received: {len(given)}")
    return _hashes(dataset) if given is None else given


def _hashes(dataset: Dataset) -> list[str]:
    """The hash of each example; "" where it cannot be read."""
    found: list[str] = []
    for _, values in read_in_groups(dataset, _ROWS):
        found += ["" if isinstance(v, ReadFailure) else hashlib.sha256(v).hexdigest() for v in values]
        del values  # before the next ones are read
    return found


def learnt_rows(learnt: Learnt | None, dataset: Dataset, labels: Labels) -> np.ndarray:
    """Which of some labels are of contents that were learnt from.

    Args:
        learnt: these contents; None for none.
        dataset: the examples.
        labels: n labels of examples among them.

    Returns:
        (n,) bool.
    """
    among = np.zeros(len(dataset), bool) if learnt is None else learnt.among(dataset)
    seen = set(dataset.ids[among].tolist())
    return np.array([name in seen for name in labels.ids], bool)
