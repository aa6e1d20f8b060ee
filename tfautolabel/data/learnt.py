"""Finds examples that a model has learnt from: its labels on them say little about other examples."""

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
"""Examples in memory at the same time."""


@dataclass(frozen=True)
class Learnt:
    """The contents that a model has learnt from, whatever their names were.

    Attributes:
        hashes: the SHA-256 of each content, 64 hexadecimal digits.
    """

    hashes: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset: Dataset, contents: Sequence[str] | None = None) -> Learnt:
        """Makes it of all examples of a data set that can be read.

        Args:
            dataset: n examples.
            contents: their `Extraction.contents`, so that they are not read again.

        Raises:
            ValueError: If there are not n of them.
        """
        return cls(frozenset(found for found in contents_of(dataset, contents) if found))

    def among(self, dataset: Dataset, contents: Sequence[str] | None = None) -> np.ndarray:
        """Returns (n,) bool, whether each example has one of these contents; `contents` as in `of`."""
        if not self.hashes:
            return np.zeros(len(dataset), bool)
        return np.array([found in self.hashes for found in contents_of(dataset, contents)], bool)


def rows_to_measure(learnt_from: np.ndarray) -> np.ndarray:
    """Leaves out learnt examples with a warning; if no others exist, keeps all with another warning.

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
    """Returns (n,) bool: the examples that were not learnt from, or all if there are none."""
    return np.ones(len(learnt_from), bool) if learnt_from.all() else ~learnt_from


def contents_of(dataset: Dataset, given: Sequence[str] | None = None) -> Sequence[str]:
    """Returns the hash of each of n examples, "" for one that cannot be read.

    Args:
        dataset: n examples; they are read unless `given` holds their hashes.
        given: their `Extraction.contents`, which may be None.

    Raises:
        ValueError: If there are not n of them.
    """
    if given is not None and len(given) != len(dataset):
        raise ValueError(f"contents must be of {len(dataset)} examples. Received: {len(given)}")
    return _hashes(dataset) if given is None else given


def _hashes(dataset: Dataset) -> list[str]:
    """Returns the hash of each example; "" for one that cannot be read."""
    found: list[str] = []
    for _, values in read_in_groups(dataset, _ROWS):
        found += ["" if isinstance(v, ReadFailure) else hashlib.sha256(v).hexdigest() for v in values]
        del values  # before the next ones are read
    return found


def learnt_rows(learnt: Learnt | None, dataset: Dataset, labels: Labels) -> np.ndarray:
    """Returns which labels belong to contents that were learnt from.

    Args:
        learnt: the learnt contents; None for none.
        dataset: the examples.
        labels: n labels of some of these examples.

    Returns:
        (n,) bool.
    """
    among = np.zeros(len(dataset), bool) if learnt is None else learnt.among(dataset)
    seen = set(dataset.ids[among].tolist())
    return np.array([name in seen for name in labels.ids], bool)
