"""Gives examples of the pool the label that a person gave to another example with the same content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from tfautolabel.features import Extraction
from tfautolabel.labels import ABSTAIN, HUMAN_COPY, Labels
from tfautolabel.measures.duplicates import same_content


class LabelledCopies:
    """Recognises copies of labelled examples by the hashes of their contents.

    Sound that was read for this backbone only has no such hashes; it keeps the model's labels.

    Args:
        extraction: of the labelled examples.
        class_ids: of all the labelled examples, read or not.

    Attributes:
        given: how many labels were given.
        contested: how many examples got none, because the labelled ones with their content have different
            labels.
    """

    def __init__(self, extraction: Extraction, class_ids: np.ndarray) -> None:
        self.given = self.contested = 0
        contents = _of_rows(extraction)
        given = class_ids[extraction.rows]
        self._known = dict(zip(contents, given.tolist(), strict=True)) if contents else {}
        for copies in same_content(contents, given) if contents else ():
            if copies.conflicting:
                self._known[contents[copies.rows[0]]] = ABSTAIN
        self._known.pop("", None)

    def label(self, extraction: Extraction, labels: Labels) -> Labels:
        """Returns the same labels, with those of persons for copies of labelled examples.

        A label that a person has refused stays refused.

        Args:
            extraction: of a part of the pool.
            labels: of the m examples of this part that could be read.
        """
        contents = _of_rows(extraction)
        if not self._known or not contents:
            return labels
        of_model = labels.origin == "model"
        unknown = ABSTAIN - 1
        found = np.array([self._known.get(content, unknown) for content in contents], np.int64)
        self.contested += int(np.count_nonzero(of_model & (found == ABSTAIN)))
        copied = of_model & (found >= 0)
        self.given += int(np.count_nonzero(copied))
        if not copied.any():
            return labels
        probabilities = labels.probabilities.copy()
        probabilities[copied] = np.eye(len(labels.classes), dtype=np.float32)[found[copied]]
        return replace(
            labels,
            class_ids=np.where(copied, found, labels.class_ids),
            probabilities=probabilities,
            confidence=np.where(copied, np.float32(1.0), labels.confidence),
            origin=np.where(copied, HUMAN_COPY, labels.origin),
            reason=np.where(copied, "", labels.reason),
        )

    def tell(self, say: Callable[[str], None]) -> None:
        """Says how many copies there were, if there were any."""
        if self.given:
            noun = "example has" if self.given == 1 else "examples have"
            say(f"{self.given:,} {noun} the content of a labelled one and its label, not the model's")
        if self.contested:
            noun = "example" if self.contested == 1 else "examples"
            say(
                f"{self.contested:,} {noun} with the content of labelled ones whose labels differ got the "
                "model's label; `tfautolabel check-labels` lists them"
            )


def _of_rows(extraction: Extraction) -> Sequence[str]:
    """Returns the hashes of the examples that could be read; none if there are no hashes."""
    if extraction.contents is None:
        return ()
    return [extraction.contents[row] for row in extraction.rows.tolist()]
