"""The labelled examples as a head learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.folds import content_order
from tfautolabel.data.readers import MemoryReader
from tfautolabel.features import Extraction
from tfautolabel.labeler.checks import check_counts
from tfautolabel.labels import ABSTAIN


def learnable(
    labelled: Dataset,
    extraction: Extraction | None,
    classes: Sequence[str],
    extract: Callable[[Dataset], Extraction],
    known: np.ndarray | None = None,
) -> tuple[Dataset, Extraction, np.ndarray]:
    """Returns the labelled examples that a head learns from; see `Labeler.labelled_features`.

    Args:
        labelled: examples, of which those with a label count.
        extraction: theirs, if they all have labels and it is known.
        classes: k names.
        extract: makes an extraction.
        known: (k,) bool, the classes that need no labelled example, because rules vote for them; all need
            one by default.

    Raises:
        ValueError: If a label is none of the classes, or a class has no example that can be read.
    """
    labelled = (labelled.labelled if extraction is None else labelled).with_classes(tuple(classes))
    extraction = extract(labelled) if extraction is None else extraction
    class_ids = labelled.class_ids[extraction.rows]
    if (class_ids == ABSTAIN).any():
        raise ValueError("an extraction must hold labelled examples only. Received: some have no label")
    check_counts(class_ids, classes, extraction.unreadable, known)
    order = content_order(extraction.features, class_ids)
    extraction = replace(extraction, rows=extraction.rows[order], features=extraction.features[order])
    return labelled, extraction, class_ids[order]


def no_examples(modality: str) -> Dataset:
    """Returns a data set without rows."""
    return Dataset(MemoryReader([]), [], modality=modality)
