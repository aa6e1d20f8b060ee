"""Descriptions of classes as one rule among others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.features import Extraction
from tfautolabel.labeler.descriptions import DescribedClasses, Descriptions, described
from tfautolabel.labeler.model import as_backbone
from tfautolabel.labeler.reading import Reading
from tfautolabel.rules.contract import Part, RuleFailure, Vote

NAME = "descriptions"


class DescriptionRule:
    """A rule that votes for the class in whose direction an example lies; it never abstains.

    Args:
        texts: class to its texts.
        backbone: one for texts.
        extract: makes an extraction by this backbone.
        name: the rule's name.

    Raises:
        ValueError: If the backbone is not one for texts, or a description cannot be read.
    """

    def __init__(
        self,
        texts: Mapping[str, Sequence[str]],
        backbone: Backbone,
        extract: Callable[[Dataset], Extraction],
        name: str = NAME,
    ) -> None:
        self.name = name
        self.classes: tuple[str, ...] = tuple(texts)
        self._described = DescribedClasses.of(texts, backbone, extract)
        self._extract = extract
        self._alone = threading.Lock()

    def vote(self, part: Part) -> Sequence[Vote | RuleFailure]:
        """See `tfautolabel.rules.contract.Rule`; one thread at a time uses the backbone."""
        with self._alone:
            found = self._extract(part.examples)
        votes: list[Vote | RuleFailure] = [RuleFailure("could not be read by the backbone")] * len(part)
        best = self._described.scores(found.features).argmax(axis=1) if len(found.rows) else np.zeros(0, int)
        for row, number in zip(found.rows.tolist(), best.tolist(), strict=True):
            votes[row] = self.classes[number]
        return votes


def description_rule(
    descriptions: Descriptions,
    backbone: str | os.PathLike[str] | Backbone,
    *,
    name: str = NAME,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
) -> DescriptionRule:
    """Makes a rule of descriptions, for `apply_rules`, `RuleAnalysis` and `Labeler.fit`.

    Args:
        descriptions: class to a text or several.
        backbone: as for `Labeler`, one for texts.
        name: the rule's name.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept; the package's cache by default.

    Raises:
        ValueError: If the backbone is not one for texts, or a description is empty.
        TypeError: If a description is no text.
    """
    loaded = as_backbone(backbone)
    names = list(descriptions.texts) if hasattr(descriptions, "texts") else list(descriptions)
    reading = Reading(loaded, batch_size, cache_dir, progress=False)
    return DescriptionRule(described(descriptions, names) or {}, loaded, reading.extract, name)
