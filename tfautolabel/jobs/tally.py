"""Counts and times the labelling of a pool."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tfautolabel.labels import CANNOT_TELL, HUMAN_COPY, NONE_OF_THESE, Labels

if TYPE_CHECKING:
    from tfautolabel.features import Extraction
    from tfautolabel.trust.acceptance import Acceptance


class Clock:
    """Seconds per stage; repeated stages are added up."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measures the time of the block as a stage."""
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(self.seconds.get(stage, 0.0) + time.perf_counter() - start, 3)


class Tally:
    """Counts over the parts of a pool.

    Args:
        n_classes: k.
    """

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.labels = self.computed = self.reused = self.shortened = self.human_copies = 0
        self.predicted = np.zeros(n_classes, np.int64)
        self.accepted = np.zeros(n_classes, np.int64)
        self.accepted_by_estimate = np.zeros(n_classes, np.int64)
        self.reasons: Counter[str] = Counter()
        self._digest = hashlib.sha256()

    def add(self, extraction: Extraction, labels: Labels, estimate: Acceptance) -> None:
        """Adds one part of the pool with its labels; also counts the labels that an estimate would accept."""
        self.add_features(extraction)
        self.labels += len(labels)
        self.predicted += np.bincount(labels.probabilities.argmax(axis=1), minlength=self.n_classes)
        self.accepted += np.bincount(labels.class_ids[labels.accepted], minlength=self.n_classes)
        self.reasons.update(labels.reason[labels.reason != ""].tolist())
        predicted = labels.probabilities.argmax(axis=1)
        by_estimate = estimate.reasons(labels.confidence, predicted, labels.ood_score) == ""
        by_estimate &= labels.origin != HUMAN_COPY
        self.human_copies += int(np.count_nonzero(labels.origin == HUMAN_COPY))
        by_estimate &= ~np.isin(labels.reason.astype(str), (NONE_OF_THESE, CANNOT_TELL))
        self.accepted_by_estimate += np.bincount(predicted[by_estimate], minlength=self.n_classes)
        self._digest.update(extraction.digest.encode())

    def add_sample(self, extraction: Extraction) -> None:
        """Adds the cost of a first sample of the pool; its features are found in the cache later."""
        self.computed += extraction.computed
        self.reused -= extraction.computed

    def add_features(self, extraction: Extraction) -> None:
        """Adds the cost of an extraction."""
        self.computed += extraction.computed
        self.reused += extraction.reused
        self.shortened += extraction.shortened

    @property
    def digest(self) -> str:
        """Returns 64 hexadecimal digits that change with the ids or the contents of the pool."""
        return self._digest.hexdigest()

    def counts(self, classes: tuple[str, ...], labelled: np.ndarray, unreadable: int) -> dict[str, Any]:
        """Returns the counts as run.json stores them.

        Args:
            classes: k names.
            labelled: (k,) int64, the number of labelled examples of each class.
            unreadable: how many examples were set aside.
        """
        return {
            "labelled": int(labelled.sum()),
            "to_label": self.labels,
            "accepted": int(self.accepted.sum()),
            "human_copies": self.human_copies,
            "unreadable": unreadable,
            "reasons": dict(sorted(self.reasons.items())),
            "shortened": self.shortened,
            "features_computed": self.computed,
            "features_reused": max(self.reused, 0),
            "classes": {
                name: {
                    "labelled": int(labelled[class_id]),
                    "predicted": int(self.predicted[class_id]),
                    "accepted": int(self.accepted[class_id]),
                }
                for class_id, name in enumerate(classes)
            },
        }
