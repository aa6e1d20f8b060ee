"""Contrastive tuning: examples of one class are drawn together, those of others apart; then a head is fitted.

For texts as SetFit does it (Tunstall et al. 2022, arXiv 2209.11055): the cosine of two examples' features
is to be 1 within a class and 0 between classes. SetFit draws pairs; here every pair within a batch counts,
which is many more for the same work. For pictures and sounds the supervised contrastive loss (Khosla et al.
2020, arXiv 2004.11362).
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
"""An epoch is at most as long as this, so that progress is kept and reported now and then."""

TEXT_RATE = 2e-4
"""Ten times what SetFit takes: few steps of every pair in a batch stand for many steps of single pairs."""

EAGER_STEPS = 40
"""So few steps are not worth a graph."""

_PER_CLASS = 4
_FAR = 1e9


@dataclass(frozen=True)
class ContrastiveSettings:
    """How a backbone is tuned by contrast.

    Attributes:
        scope: which parameters move, as in `FineTuneSettings`.
        steps: in all; None for ten or so, and more where there are many labels, see `default_steps`.
        batch_size: examples in a step, shared out evenly among the classes.
        learning_rate: the highest, of the last block; None for 2e-4 for texts, else that of fine-tuning.
        layer_decay: what a block's rate is multiplied by for each block behind it, in (0, 1].
        loss: "cosine" (SetFit's), "supervised" (supervised contrastive), or None for the modality's own.
        temperature: of the supervised loss.
        augment: in [0, 1], how far the views of pictures and sounds that are drawn may go, 0 for none; texts
            have none.
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
    """Tunes a backbone by contrast and fits a head on its new features.

    Args:
        backbone: trained in place.
        head: fitted in place.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: how.
        class_weight: class id to weight, for the head.
        seed: decides views and batches.
        head_options: of `keras.Model.fit`, for fitting the head.
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
        """Tunes, then fits the head; there is one epoch to choose, the last."""
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
    """Tunes a backbone by contrast and fits the head on its new features, both in place.

    `Labeler(transfer="contrastive")` does the same and cross-validates it; here it is just done.

    Args:
        backbone: any backbone with parameters that can move.
        head: compiled, from (n, d) features to (n, k) probabilities.
        labelled: n examples with labels that can all be read; class ids index into its `classes`.
        settings: how; `ContrastiveSettings()` by default.
        class_weight: class id to weight, for the head; every class weighs 1 by default.
        callbacks: ordinary Keras callbacks, for the backbone's training.
        checkpoint: a file in which the state is kept now and then; if it is there, training goes on from it,
            and once training is over it is removed.
        seed: decides views and batches.

    Returns:
        The `keras.callbacks.History` of the backbone's training.

    Raises:
        ValueError: If the scope is unknown, nothing in it can move, or an example cannot be read.
        DivergedError: If a loss or a weight is not finite any more; backbone and head are then as they were.
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
    """Steps for so many labelled examples: eight, and one more for every eight examples.

    Examples:
        >>> default_steps(16), default_steps(1000)
        (10, 133)
    """
    return 8 + count // 8


def balanced(class_ids: np.ndarray, batch_size: int, steps: int) -> BatchOrder:
    """Batches of as many classes as have room for several examples each.

    Args:
        class_ids: (n,) int64, of all examples.
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
        """The squared error of the cosines, averaged within classes and between them apart."""
        cosines, same, others = _pairs(class_ids, vectors)
        error = ops.square(cosines - same)
        within = same * others
        return _mean(error, within) + _mean(error, 1.0 - same)

    return loss


def _supervised_loss(temperature: float) -> Any:
    def loss(class_ids: object, vectors: object) -> Any:
        """Minus the log-probability that an example's neighbour is of its class."""
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
    """(n, n) each: cosines; 1 within a class; 1 for two different examples."""
    class_ids = ops.reshape(class_ids, (-1,))
    same = ops.cast(ops.equal(class_ids[:, None], class_ids[None, :]), vectors.dtype)
    others = 1.0 - ops.eye(ops.shape(vectors)[0], dtype=vectors.dtype)
    return ops.matmul(vectors, ops.transpose(vectors)), same, others


def _mean(values: Any, chosen: Any) -> Any:
    return ops.sum(values * chosen) / ops.maximum(ops.sum(chosen), 1.0)
