"""The common interface of fitted and exported labelers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.labels import Labels
from tfautolabel.measures import Evaluation
from tfautolabel.trust import Certificate
from tfautolabel.trust.acceptance import Acceptance


@runtime_checkable
class LabelsExamples(Protocol):
    """Labels examples with a confidence, and can be measured and certified.

    `Labeler` and `ExportedLabeler` have this interface. Each has more options of its own.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """Returns the K class names."""

    @property
    def acceptance(self) -> Acceptance:
        """Returns the rule by which labels are accepted."""

    def predict(self, examples: Any, /) -> np.ndarray:
        """Returns (n, k) float32 probabilities of n encoded examples, with zeros for unreadable ones."""

    def label(self, dataset: Dataset, /, *, min_confidence: float | None = None) -> Labels:
        """Labels every readable example. The others are in `unreadable`."""

    def label_parts(
        self, dataset: Dataset, /, *, min_confidence: float | None = None, part_rows: int = ...
    ) -> Iterator[Labels]:
        """Yields the result of `label`, part by part."""

    def evaluate(self, dataset: Dataset, /) -> Evaluation:
        """Compares the labels with known ones."""

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds out which labels can be accepted, and uses this rule from now on."""
