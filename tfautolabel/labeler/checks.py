"""What a labeler needs of its settings and of the labelled examples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from tfautolabel.labels import Rejected


def check_counts(class_ids: np.ndarray, classes: Sequence[str], rejected: Sequence[Rejected]) -> None:
    """Refuses a class without examples and warns of one with a single example.

    Args:
        class_ids: (n,) int64 in [0, k), of the labelled examples that could be read.
        classes: k names.
        rejected: the labelled examples that could not be read.

    Raises:
        ValueError: If a class has no example.
    """
    counts = np.bincount(class_ids, minlength=len(classes))
    missing = [classes[class_id] for class_id in np.flatnonzero(counts == 0).tolist()]
    if missing:
        unread = ""
        if rejected:
            unread = (
                f"; {len(rejected):,} could not be read, the first {rejected[0].id}: {rejected[0].reason}"
            )
        raise ValueError(
            "every class needs a labelled example that can be read. Received: none of "
            f"{', '.join(missing)}{unread}"
        )
    single = [classes[class_id] for class_id in np.flatnonzero(counts == 1).tolist()]
    if single:
        warnings.warn(
            f"there is only one labelled example of {', '.join(single)}: cross-validation cannot get it "
            "right, because nothing else shows what it looks like, and a second one would help most",
            stacklevel=3,
        )
