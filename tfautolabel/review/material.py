"""What a session is about: the examples, their features, and the labels that are there already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tfautolabel.data import Dataset, Unreadable
from tfautolabel.labels import ABSTAIN
from tfautolabel.runs.inputs import Source

_DIGITS = 20


@dataclass(frozen=True, eq=False)
class Material:
    """Examples that can be read, with their features.

    Attributes:
        dataset: m examples; labels that were given are its `class_ids`.
        features: (m, d) float32, one row an example, as a backbone gives them.
        title: what the data is called, for the page.
        unreadable: what was set aside.
        notes: sentences that say what was guessed about the data.
        source: where the data is; None for examples in memory.
        told: (m, k) float32, the probabilities of the classes by their descriptions; None without these.
    """

    dataset: Dataset
    features: np.ndarray
    title: str = ""
    unreadable: tuple[Unreadable, ...] = ()
    notes: tuple[str, ...] = ()
    source: Source | None = None
    told: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.dataset)

    @cached_property
    def ids(self) -> list[str]:
        """The m ids."""
        return [str(name) for name in self.dataset.ids]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Id to row."""
        return {name: row for row, name in enumerate(self.ids)}

    @cached_property
    def keys(self) -> dict[str, int]:
        """A short key for each example to its row.

        A key depends only on the id, so that it means the same example after a restart, even if the data has
        changed in between.
        """
        return {key_of(name): row for row, name in enumerate(self.ids)}

    @property
    def given(self) -> dict[str, str]:
        """Id to class name, of the labels that were given with the data."""
        dataset = self.dataset
        rows = np.flatnonzero(dataset.class_ids != ABSTAIN)
        return {self.ids[row]: dataset.classes[dataset.class_ids[row]] for row in rows.tolist()}


def key_of(name: str) -> str:
    """Returns a short key for an id, safe in an address.

    Examples:
        >>> key_of("photos/a b.jpg")
        '234a3fabd552d6dd42b0'
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
