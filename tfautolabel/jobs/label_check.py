"""What a check of given labels found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data import Dataset, Unreadable
from tfautolabel.measures.duplicates import Copies, NearPair
from tfautolabel.measures.label_quality import LabelQuality


@dataclass(frozen=True, eq=False)
class LabelCheck:
    """What is known about the labels of n examples that could be read.

    Attributes:
        examples: the n labelled examples, to read their contents.
        classes: k class names.
        given: (n,) int64, the given labels.
        out_of_fold: (n, k) float32, each row predicted by a head that has seen neither the example nor a
            copy of it.
        quality: the scores, the likelier classes, and about how many labels are wrong.
        order: (n,) int64, all rows: first those with a likelier class, the worst first; then the others with
            an entry in `why`.
        why: n sentences, empty where nothing speaks against the label.
        copies: groups of examples with the same content.
        near: pairs of examples that are nearly the same; of copies, only the first is compared.
        unlike: the rows that are the least like the others, int64, the most unlike first; none if there are
            too few labels to tell. It is an order: the first ones need not be wrong.
        unlike_scores: (n,) float32, higher is more unlike; NaN if there are too few labels.
        unreadable: labelled examples that could not be read, and what was set aside.
        out: the folder of the results; None if nothing was written.
        record: the content of check_labels.json.
    """

    examples: Dataset
    classes: tuple[str, ...]
    given: np.ndarray
    out_of_fold: np.ndarray
    quality: LabelQuality
    order: np.ndarray
    why: tuple[str, ...]
    copies: tuple[Copies, ...]
    near: tuple[NearPair, ...]
    unlike: np.ndarray
    unlike_scores: np.ndarray
    unreadable: tuple[Unreadable, ...]
    out: Path | None
    record: dict[str, Any]

    @property
    def conflicts(self) -> tuple[Copies, ...]:
        """The copies whose labels differ: at least one of these labels is wrong."""
        return tuple(copies for copies in self.copies if copies.conflicting)

    def sentence(self) -> str:
        """Says which labels to check first, and about how many of them are wrong."""
        quality, total = self.quality, len(self.given)
        if quality.number is None:
            return (
                f"the {total:,} labels cannot be checked: a head that has not seen them is not "
                "clearly better than always answering the commonest class; label more examples, or try "
                "another backbone"
            )
        rows = quality.to_check
        if not len(rows):
            return f"none of the {total:,} labels is contradicted"
        wrong, noun = quality.wrong_among(rows), "label" if len(rows) == 1 else "labels"
        verb = "is" if round(wrong) == 1 else "are"
        told = f"about {round(wrong):,}" if round(wrong) else "probably none"
        return f"check these {len(rows):,} {noun} first: {told} of them {verb} wrong"

    def counts(self) -> dict[str, Any]:
        """Returns the numbers of the record, ready for JSON."""
        right = self.out_of_fold.argmax(axis=1) == self.given
        return {
            "labels": len(self.given),
            "accuracy": float(right.mean()),
            "wrong": self.quality.number,
            "to_check": len(self.quality.to_check),
            "wrong_among_these": self.quality.wrong_among(self.quality.to_check),
            "copies": sum(len(one.rows) for one in self.copies),
            "conflicts": len(self.conflicts),
            "near_pairs": len(self.near),
            "unlike": len(self.unlike),
            "unreadable": len(self.unreadable),
        }
