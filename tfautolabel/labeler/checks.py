"""Checks of a labeler's settings and of the labelled examples."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from tfautolabel.backbones.languages import other_backbones
from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.labels import Unreadable

SAMPLE, SAMPLED_FROM = 200, 5000
"""How many texts are sampled to detect their language, and from how many of the first texts."""


def check_counts(
    class_ids: np.ndarray,
    classes: Sequence[str],
    unreadable: Sequence[Unreadable],
    known: np.ndarray | None = None,
) -> None:
    """Refuses a class without examples and warns about a class with a single example.

    Args:
        class_ids: (n,) int64 in [0, k), of the labelled examples that could be read.
        classes: k names.
        unreadable: the labelled examples that could not be read.
        known: (k,) bool, the classes that need no example, because rules vote for them; by default, none.

    Raises:
        ValueError: If a class has no example.
    """
    counts = np.bincount(class_ids, minlength=len(classes))
    missing = [
        classes[class_id]
        for class_id in np.flatnonzero(counts == 0).tolist()
        if known is None or not known[class_id]
    ]
    if missing:
        unread, or_vote = "", "" if known is None else ", or a vote of a rule"
        if unreadable:
            first = unreadable[0]
            unread = f"; {len(unreadable):,} could not be read, the first {first.id}: {first.reason}"
        raise ValueError(
            f"every class needs a labelled example that can be read{or_vote}. Received: none of "
            f"{', '.join(missing)}{unread}"
        )
    single = [classes[class_id] for class_id in np.flatnonzero(counts == 1).tolist()]
    if single and known is None:
        warnings.warn(
            f"there is only one labelled example of {', '.join(single)}: cross-validation cannot get it "
            "right, because nothing else shows what it looks like, and a second one would help most",
            stacklevel=3,
        )


def warn_of_language(handle: str, dataset: Dataset) -> bool:
    """Warns if most texts are in a language that a packaged backbone was not trained on.

    Args:
        handle: of the backbone.
        dataset: examples of any modality; only texts are looked at.

    Returns:
        Whether it warned.
    """
    if dataset.modality != "text" or not len(dataset):
        return False
    # Only from the beginning: this must not read a table of millions of rows.
    rows = np.unique(np.linspace(0, min(len(dataset), SAMPLED_FROM) - 1, SAMPLE).astype(np.int64))
    read = dataset.read(rows.tolist())
    texts = (text.decode("utf-8", "replace") for text in read if not isinstance(text, ReadFailure))
    found = other_backbones(handle, texts)
    if found is not None:
        language, better = found
        warnings.warn(
            f"most texts are {language} by their letters and words, and {handle} was not trained on that: "
            f"take {' or '.join(better)}, or let backbone='auto' choose",
            stacklevel=3,
        )
    return found is not None


class LanguageWarning:
    """Warns about a language, as `warn_of_language` does, at most once."""

    def __init__(self) -> None:
        self._given = False

    def once(self, handle: str, dataset: Dataset) -> None:
        """Warns if most texts are in a language that the backbone was not trained on, at most once.

        Args:
            handle: of the backbone.
            dataset: examples of any modality.
        """
        self._given = self._given or warn_of_language(handle, dataset)
