"""Certificates from labels whose truth is known, and how much of a pool they accept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tfautolabel.labels import Labels
from tfautolabel.trust.certificates import Certificate, with_pool
from tfautolabel.trust.selective import certify


@dataclass(frozen=True, eq=False)
class Judged:
    """Labels whose truth is known.

    Attributes:
        probabilities: (n, k) float32.
        class_ids: (n,) int64 in [0, k), the truth.
        refused: (n,) bool, which examples a gate refuses; the statement does not include them.
        source: a key of `tfautolabel.trust.selective.SOURCES`.
    """

    probabilities: np.ndarray
    class_ids: np.ndarray
    refused: np.ndarray
    source: str

    def certify(
        self, classes: tuple[str, ...], target_error: float, confidence: float, per_class: bool
    ) -> Certificate:
        """Finds which labels can be accepted; see `certify`.

        Args:
            classes: k names.
            target_error: in (0, 1).
            confidence: in (0, 1).
            per_class: whether each predicted class gets its own threshold.
        """
        probabilities, truth = self.probabilities[~self.refused], self.class_ids[~self.refused]
        predicted = probabilities.argmax(axis=1)
        return certify(
            probabilities.max(axis=1),
            predicted == truth,
            target_error=target_error,
            confidence=confidence,
            source=self.source,
            per_class=per_class,
            predicted=predicted,
            classes=classes,
        )


def counted(certificate: Certificate, classes: tuple[str, ...], parts: Iterable[Labels]) -> Certificate:
    """Returns a certificate with the number of a pool's labels that it accepts.

    Args:
        certificate: the certificate that accepted the labels.
        classes: k names.
        parts: all labels of the pool.
    """
    predicted, accepted = np.zeros((2, len(classes)), np.int64)
    for labels in parts:
        predicted += np.bincount(labels.probabilities.argmax(axis=1), minlength=len(classes))
        accepted += np.bincount(labels.class_ids[labels.accepted], minlength=len(classes))
    return with_pool(certificate, classes, predicted, accepted)
