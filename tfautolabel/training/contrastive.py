"""Contrastive tuning: pulls examples of a class together and other classes apart, then fits a head.

Texts are tuned as in SetFit (Tunstall et al. 2022, arXiv 2209.11055): the target for the cosine of two
examples' features is 1 within a class and 0 between classes. SetFit draws pairs; here every pair within a
batch counts, which gives many more pairs for the same work. Pictures and sounds use the supervised
contrastive loss (Khosla et al. 2020, arXiv 2004.11362).
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.training.augmentation import check_strength
from tfautolabel.training.backbone_training import (
    BackboneTraining,
    default_rate,
    scope_of,
    train_in_place,
)
from tfautolabel.training.moving_part import BatchOrder, MovingPart, check_finite

STEPS_PER_EPOCH = 10
"""The most steps in an epoch, so that progress is saved and reported from time to time."""

TEXT_RATE = 2e-4
"""Ten times the rate of SetFit: few steps with all pairs of a batch replace many steps with single pairs."""

EAGER_STEPS = 40
"""With at most so many steps, building a graph is not worth its time."""

_PER_CLASS = 4
_FAR = 1e9


@dataclass(frozen=True)
class ContrastiveSettings:
    """Settings of contrastive tuning.

    Attributes:
        scope: which parameters are trained, as in `FineTuneSettings`.
        steps: the total number of steps; None for about ten, and more with many labels, see `default_steps`.
        batch_size: examples in a step, divided evenly among the classes.
        learning_rate: the peak rate of the last block; None for 2e-4 for texts, else the rate of fine-tuning.
        layer_decay: the factor of a block's rate for each block after it, in (0, 1].
        loss: "cosine" (SetFit's), "supervised" (supervised contrastive), or None for the modality's own.
        temperature: the temperature of the supervised loss.
        augment: in [0, 1], the strength of augmentation for pictures and sounds, 0 for none; texts have none.
    """

    scope: str = "auto"
    steps: int | None = None
    batch_size: int = 16
    learning_rate: float | None = None
    layer_decay: float = 1.0
    loss: str | None = None
    temperature: float = 0.1
    augment: float = 1.0

    def __post_init__(self) -> None:
        if self.loss not in (None, *LOSSES):
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}. Received: loss={self.loss!r}")
        positive = {"steps": self.steps, "learning_rate": self.learning_rate, "temperature": self.temperature}
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive. Received: {name}={value}")
        if self.batch_size < 4:
            raise ValueError(f"batch_size must be at least 4. Received: batch_size={self.batch_size}")
        check_strength(self.augment)


class ContrastiveTuning(BackboneTraining):
    """Tunes a backbone contrastively and fits a head on its new features.

    Args:
        backbone: trained in place.
        head: fitted in place.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: the settings of the tuning.
        class_weight: class id to weight, for the head.
        seed: determines views and batches.
        head_options: options of `keras.Model.fit`, for fitting the head.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: keras.Model,
        dataset: Dataset,
        class_ids: np.ndarray,
        settings: ContrastiveSettings,
        *,
        class_weight: dict[int, float] | None = None,
        seed: int = 0,
        head_options: dict[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        part = MovingPart(
            backbone,
            dataset,
            class_ids,
            scope=scope_of(settings.scope, backbone),
            statistics=False,
            augment=settings.augment,
            seed=seed,
            crop=True,
            eager=(settings.steps or default_steps(len(dataset))) <= EAGER_STEPS,
        )
        super().__init__(part, head, class_weight, seed, head_options)
        loss = settings.loss or ("cosine" if backbone.modality == "text" else "supervised")
        own_rate = TEXT_RATE if backbone.modality == "text" else default_rate(backbone.network)
        rate = settings.learning_rate or own_rate
        part.put_on_top(
            keras.layers.UnitNormalization(name="unit_length"),
            LOSSES[loss](settings.temperature),
            rate=rate,
            top_rate=rate,
            decay=settings.layer_decay,
            pull=0.0,
        )

    def run(
        self,
        rows: np.ndarray,
        held_out: np.ndarray | None = None,
        *,
        stop_after: int | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        until: float | None = None,
        checkpoint: Path | None = None,
    ) -> list[np.ndarray]:
        """Tunes, then fits the head; only the last epoch can be chosen."""
        del stop_after
        self.part.restart()
        steps = self.settings.steps or default_steps(len(rows))
        epochs = math.ceil(steps / STEPS_PER_EPOCH)
        order = balanced(self.part.class_ids, self.settings.batch_size, round(steps / epochs))
        self.train(rows, order, [], callbacks, checkpoint, epochs=epochs, until=until)
        features = self.part.features(rows)
        check_finite("a feature", features)
        self.fit_head(features, rows)
        return [] if held_out is None else [self.predict(held_out)]


def contrastive_tune(
    backbone: Backbone,
    head: keras.Model,
    labelled: Dataset,
    *,
    settings: ContrastiveSettings | None = None,
    class_weight: dict[int, float] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Any:
    """Tunes a backbone contrastively and fits the head on its new features, both in place.

    `Labeler(transfer="contrastive")` does the same with a cross-validation; this function has none.

    Args:
        backbone: any backbone with parameters that can be trained.
        head: compiled, from (n, d) features to (n, k) probabilities.
        labelled: n examples with labels that can all be read; class ids index into its `classes`.
        settings: the settings of the tuning; `ContrastiveSettings()` by default.
        class_weight: class id to weight, for the head; every class weighs 1 by default.
        callbacks: ordinary Keras callbacks, for the backbone's training.
        checkpoint: a file for the state, written from time to time. If it exists, training continues from it;
            it is removed when training is over.
        seed: determines views and batches.

    Returns:
        The `keras.callbacks.History` of the backbone's training.

    Raises:
        ValueError: If the scope is unknown or has no trainable parameters, or an example cannot be read.
        DivergedError: If a loss or a weight becomes non-finite; backbone and head are then as before.
    """
    return train_in_place(
        ContrastiveTuning,
        backbone,
        head,
        labelled,
        callbacks=callbacks,
        checkpoint=checkpoint,
        settings=settings or ContrastiveSettings(),
        class_weight=class_weight,
        seed=seed,
    )


def default_steps(count: int) -> int:
    """Returns the number of steps: eight, and one more for every eight labelled examples.

    Examples:
        >>> default_steps(16), default_steps(1000)
        (10, 133)
    """
    return 8 + count // 8


def balanced(class_ids: np.ndarray, batch_size: int, steps: int) -> BatchOrder:
    """Returns an order of batches with as many classes as fit with several examples each.

    Args:
        class_ids: (n,) int64, the classes of all examples.
        batch_size: examples in a batch.
        steps: batches in an epoch.
    """

    def order(rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
        groups = [rows[class_ids[rows] == class_id] for class_id in np.unique(class_ids[rows])]
        most = max(2, min(len(groups), batch_size // _PER_CLASS))
        batches = []
        for _ in range(steps):
            chosen = rng.permutation(len(groups))[:most]
            each = max(2, batch_size // len(chosen))
            batches.append(np.concatenate([rng.permutation(groups[place])[:each] for place in chosen]))
        return batches

    return order


def _cosine_loss(temperature: float) -> Any:
    del temperature

    def loss(class_ids: object, vectors: object) -> Any:
        """Returns the squared error of the cosines, averaged separately within and between classes."""
        cosines, same, others = _pairs(class_ids, vectors)
        error = ops.square(cosines - same)
        within = same * others
        return _mean(error, within) + _mean(error, 1.0 - same)

    return loss


def _supervised_loss(temperature: float) -> Any:
    def loss(class_ids: object, vectors: object) -> Any:
        """Returns minus the log-probability that an example's neighbour has the same class."""
        cosines, same, others = _pairs(class_ids, vectors)
        scores = cosines / temperature - _FAR * (1.0 - others)
        log_shares = scores - ops.logsumexp(scores, axis=1, keepdims=True)
        within = same * others
        per_example = ops.sum(log_shares * within, axis=1) / ops.maximum(ops.sum(within, axis=1), 1.0)
        return -ops.mean(per_example)

    return loss


LOSSES = {"cosine": _cosine_loss, "supervised": _supervised_loss}
"""Name to a function of the temperature that gives a loss of (n,) class ids and (n, d) unit vectors."""


def _pairs(class_ids: Any, vectors: Any) -> tuple[Any, Any, Any]:
    """Returns three (n, n) arrays: cosines; 1 within a class; 1 for two different examples."""
    class_ids = ops.reshape(class_ids, (-1,))
    same = ops.cast(ops.equal(class_ids[:, None], class_ids[None, :]), vectors.dtype)
    others = 1.0 - ops.eye(ops.shape(vectors)[0], dtype=vectors.dtype)
    return ops.matmul(vectors, ops.transpose(vectors)), same, others


def _mean(values: Any, chosen: Any) -> Any:
    return ops.sum(values * chosen) / ops.maximum(ops.sum(chosen), 1.0)
