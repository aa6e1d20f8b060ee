"""What a linear head learns from besides labels: votes of rules, or descriptions of the classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import keras
import numpy as np

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.export import RuleGraph
from tfautolabel.features import Extraction
from tfautolabel.heads import LinearHead
from tfautolabel.labeler.description_rule import DescriptionRule
from tfautolabel.labeler.descriptions import DescribedClasses, DescribedPool
from tfautolabel.labeler.trained import Trained
from tfautolabel.labeler.weak_labels import Rules, WeakLabels, weak_labels
from tfautolabel.rules import read_rules


class Teacher(Protocol):
    """Knows something of examples without labels.

    Attributes:
        kind: what it is, such as "rules".
    """

    @property
    def kind(self) -> str:
        """See the class."""

    @property
    def known(self) -> np.ndarray:
        """Which classes need no labelled example: (k,) bool."""

    def train(
        self,
        head: keras.Model,
        examples: Dataset,
        features: np.ndarray,
        class_ids: np.ndarray,
        weights: dict[int, float] | None,
        seed: int,
    ) -> Trained:
        """Trains a `LinearHead` in place.

        Args:
            head: as it was before the first fit.
            examples: n labelled examples that can all be read.
            features: (n, d) float32, of the same; n may be 0.
            class_ids: (n,) int64 in [0, k).
            weights: class id to weight; None for the head's own.
            seed: determines the folds.
        """


def teacher_of(
    rules: Rules | WeakLabels | None,
    descriptions: Mapping[str, Sequence[str]] | None,
    head: keras.Model,
    transfer: str,
    class_weight: object,
    backbone: Backbone,
    classes: Sequence[str],
    extract: Callable[[Dataset], Extraction],
    pool: Dataset | None,
    labelled: Dataset,
    progress: bool,
) -> Teacher | None:
    """Returns what teaches a head besides labels; None if nothing does.

    Args:
        rules: what `Labeler.fit` takes. Descriptions are one more rule then, unless they have voted already.
        descriptions: each class's texts.
        head: the head.
        transfer: what learns.
        class_weight: what `Labeler.fit` takes.
        backbone: the backbone.
        classes: k names.
        extract: makes an extraction by this backbone.
        pool: examples without labels; None for none.
        labelled: the labelled examples.
        progress: shows a progress bar where standard error is a terminal.

    Raises:
        ValueError: If something does not go together, or cannot be used.
        FileNotFoundError: If a file of rules does not exist.
    """
    if rules is not None:
        check_can_be_taught("rules", head, transfer, class_weight)
        if descriptions is not None and not isinstance(rules, WeakLabels):
            if isinstance(rules, RuleGraph):
                raise ValueError(
                    "a model does not hold descriptions as a rule: give the rules themselves. Received: "
                    "descriptions and rules=rule_graph(...)"
                )
            listed = read_rules(rules) if isinstance(rules, (str, os.PathLike)) else rules
            rules = [*listed, DescriptionRule(descriptions, backbone, extract)]
    weak = weak_labels(rules, pool, classes, extract, progress)
    if weak is not None or descriptions is None:
        return weak
    check_can_be_taught("descriptions", head, transfer, class_weight)
    examples = labelled if pool is None else pool
    if not len(examples):
        raise ValueError(
            "descriptions are applied to examples: pool=, or labelled ones. Received: neither pool nor labels"
        )
    described = DescribedClasses.of(descriptions, backbone, extract)
    return DescribedPool(described, extract(examples).features)


def check_can_be_taught(kind: str, head: keras.Model, transfer: str, class_weight: object) -> None:
    """Refuses settings that do not go with a teacher.

    Args:
        kind: the teacher's.
        head: the head.
        transfer: what learns.
        class_weight: what `Labeler.fit` takes.

    Raises:
        ValueError: If there is one.
    """
    if not (isinstance(head, LinearHead) and head.solves_itself):
        raise ValueError(
            f"{kind} teach the linear head with its own solver: head='linear', optimizer='lbfgs'. Received: "
            f"{head.name}"
        )
    if transfer != "feature":
        raise ValueError(
            f"{kind} teach a head on a frozen backbone: transfer='feature'. Received: transfer={transfer!r}"
        )
    if class_weight is not None:
        raise ValueError(
            f"{kind} and class weights do not go together. Received: class_weight={class_weight!r}"
        )
