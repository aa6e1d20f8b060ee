"""Descriptions of classes as teachers of a head.

The backbone that embeds the examples embeds the descriptions too. Seen from the middle of all descriptions,
an example belongs to the class in whose direction it lies (Chang et al., Importance of Semantic
Representation: Dataless Classification, AAAI 2008). This says nothing of how sure it is, so the probabilities
take their scale from an assumption, `ASSUMED`, until labels are there. What the head learns from them stands
in `described_head`. Taking off the means of both sides gains up to two points where the classes are equally
frequent, and loses up to fourteen where one is four times as frequent as the other, so nothing is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import softmax

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.features import Extraction, extract_features
from tfautolabel.labeler.described_head import learn_described
from tfautolabel.labeler.trained import Trained

ASSUMED = 0.65
"""How sure descriptions are taken to be on the average, between chance (0) and certainty (1)."""

Descriptions = Mapping[str, str | Sequence[str]] | ClassDescriptions
"""Class to a text or several."""


def described(given: Descriptions | None, classes: Sequence[str]) -> dict[str, list[str]] | None:
    """Returns each class's texts as plain values, in the order of the classes; None for None.

    Args:
        given: what `Labeler` takes.
        classes: k names.

    Raises:
        ValueError: If a class has no description, or a description is of none of the classes.
        TypeError: If a description is no text.
    """
    if given is None:
        return None
    found = given if isinstance(given, ClassDescriptions) else ClassDescriptions.of(given)
    return {name: list(texts) for name, texts in zip(classes, found.for_classes(classes), strict=True)}


@dataclass(frozen=True, eq=False)
class DescribedClasses:
    """Where descriptions lie among the features.

    Attributes:
        centre: (d,) float32, the middle of the classes' texts; zeros where a tower of its own reads texts.
        directions: (k, d) float32, from there to each class: the mean over its texts, each of length one.
    """

    centre: np.ndarray
    directions: np.ndarray

    @classmethod
    def of(
        cls,
        texts: Mapping[str, Sequence[str]],
        backbone: Backbone,
        extract: Callable[[Dataset], Extraction] | None = None,
    ) -> DescribedClasses:
        """Embeds descriptions.

        Args:
            texts: class to its texts.
            backbone: one for texts, or one that has a tower for them.
            extract: makes an extraction by the backbone. If the backbone itself takes texts, it reads them,
                so that they lie among the examples in the same precision; by default the usual engine does.

        Raises:
            ValueError: If the backbone takes no texts, or a description cannot be read.
        """
        tower = text_tower(backbone)
        listed = [text for of_class in texts.values() for text in of_class]
        dataset = Dataset.from_inputs(listed, modality="text")
        if extract is not None and tower is backbone:
            found = extract(dataset)
        else:
            found = extract_features(dataset, tower, use_cache=False, progress=False)
        if found.unreadable:
            first = found.unreadable[0]
            raise ValueError(
                f"a description must be a text that the backbone reads. Received: "
                f"{listed[int(first.id)]!r}, {first.reason}"
            )
        of_class = np.repeat(np.arange(len(texts)), [len(some) for some in texts.values()])
        unit = _unit(found.features)
        numbers = range(len(texts))
        # Each class counts as much as another, however many texts it has.
        means = np.stack([unit[of_class == number].mean(axis=0) for number in numbers])
        if tower is not backbone:
            # Pictures and texts lie apart, so a picture is not seen from the middle of the texts. It belongs
            # to the nearest mean, as CLIP was trained and measured (arXiv 2103.00020, section 3.1.4).
            return cls(np.zeros(means.shape[1], np.float32), _unit(means).astype(np.float32))
        centre = means.mean(axis=0)
        away = _unit(unit - centre)
        directions = np.stack([away[of_class == number].mean(axis=0) for number in numbers])
        return cls(centre.astype(np.float32), directions.astype(np.float32))

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Returns (n, k) float32: how far each example lies in the direction of each class.

        Args:
            features: (n, d) float32.
        """
        return np.asarray((_unit(features) - self.centre) @ self.directions.T, np.float32)


@dataclass(frozen=True, eq=False)
class DescribedPool:
    """Descriptions and examples to which they are applied.

    Attributes:
        classes: where the descriptions lie.
        features: (p, d) float32, of examples without labels, at least one.

    Raises:
        ValueError: If there is no example.
    """

    classes: DescribedClasses
    features: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.features):
            raise ValueError("descriptions need an example that can be read. Received: a pool without one")

    kind = "descriptions"

    @property
    def known(self) -> np.ndarray:
        """Which classes need no labelled example: (k,) bool, all."""
        return np.ones(len(self.classes.directions), bool)

    def probabilities(self) -> np.ndarray:
        """Returns (p, k) float32, the probabilities of the examples by the descriptions alone."""
        scores = self.classes.scores(self.features)
        return np.asarray(softmax(scores * _scale(scores), axis=1), np.float32)

    def train(
        self,
        head: keras.Model,
        examples: Dataset,
        features: np.ndarray,
        class_ids: np.ndarray,
        weights: dict[int, float] | None,
        seed: int,
    ) -> Trained:
        """See `tfautolabel.labeler.teacher.Teacher`."""
        del examples  # their features say all
        learnt = learn_described(
            head, self.features, self.probabilities(), features, class_ids, weights=weights, seed=seed
        )
        transfer = {"asked": "feature", "method": "feature"}
        return Trained(
            learnt.history, learnt.out_of_fold, learnt.n_folds, "auto", features, transfer,
            descriptions=learnt.record,
        )  # fmt: skip


def text_tower(backbone: Backbone) -> Backbone:
    """Returns the backbone that embeds descriptions: the same one, or its tower for texts.

    Raises:
        ValueError: If the backbone takes no texts.
    """
    if backbone.modality == "text":
        return backbone
    if backbone.text_tower is None:
        raise ValueError(
            "descriptions need a backbone that takes texts to where the examples are, such as an hf: "
            f"checkpoint of CLIP for pictures. Received: {backbone.handle}, which is for {backbone.modality} "
            "data and reads no text"
        )
    return backbone.text_tower()


def _unit(features: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, 1e-7))


def _scale(scores: np.ndarray) -> float:
    """Returns the factor that makes probabilities on the average as sure as `ASSUMED` says."""
    chance = 1.0 / scores.shape[1]
    wanted = chance + (1.0 - chance) * ASSUMED
    low, high = 0.0, 20.0  # of the natural logarithm
    for _ in range(40):
        middle = (low + high) / 2.0
        sure = softmax(scores * np.exp(middle), axis=1).max(axis=1).mean()
        low, high = (middle, high) if sure < wanted else (low, middle)
    return float(np.exp((low + high) / 2.0))
