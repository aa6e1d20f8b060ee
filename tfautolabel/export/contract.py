"""What a labeler that is fitted and one that was exported have in common."""

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
    """Labels examples, says how sure it is, and can be measured and certified.

    `Labeler` and `ExportedLabeler` are such; each has further options of its own.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """K names."""

    @property
    def acceptance(self) -> Acceptance:
        """By which labels are accepted."""

    def predict(self, examples: Any, /) -> np.ndarray:
        """(n, k) float32 probabilities of n encoded examples; rows of zeros where one cannot be read."""

    def label(self, dataset: Dataset, /, *, min_confidence: float | None = None) -> Labels:
        """Labels every example that can be read; those that cannot are in `rejected`."""

    def label_parts(
        self, dataset: Dataset, /, *, min_confidence: float | None = None, part_rows: int = ...
    ) -> Iterator[Labels]:
        """What `label` gives, part by part."""

    def evaluate(self, dataset: Dataset, /) -> Evaluation:
        """Measures the labels against known ones."""

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds out which labels can be accepted, and accepts by that from here on."""
