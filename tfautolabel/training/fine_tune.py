"""Model transfer: part of a backbone's parameters go on learning, together with the head.

The head is trained first on frozen features and the backbone moves only then, because a head that knows
nothing would pull good features apart (Kumar et al. 2022, arXiv 2202.10054).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.training.augmentation import check_strength
from tfautolabel.training.backbone_training import (
    BackboneTraining,
    default_rate,
    scope_of,
    train_in_place,
)
from tfautolabel.training.moving_part import MovingPart, shuffled
from tfautolabel.trust import fit_calibration

LOSS = "sparse_categorical_crossentropy"


@dataclass(frozen=True)
class FineTuneSettings:
    """How a backbone is fine-tuned.

    Attributes:
        scope: which parameters move: "head", "norm" (scale and shift of normalisations), "last:n" (the last
            n blocks), "all", or "auto", see `default_scope`.
        epochs: over which the learning rate rises and falls; training stops at the one with the lowest
            cross-validated loss where there is a cross-validation.
        batch_size: examples in a step.
        learning_rate: the highest, of the last block; None for that of `default_rate`.
        head_learning_rate: the highest of the head.
        layer_decay: what a block's rate is multiplied by for each block behind it, in (0, 1].
        pull: of L2-SP, the share of the distance to the start that a parameter goes back at a learning rate
            of one; 0 for none.
        statistics: whether the moving statistics of batch norms follow the data; with few labels they are
            better left alone.
        augment: in [0, 1], how far the views of pictures and sounds that are drawn may go, 0 for none; texts
            have none. They pay where training is long: in the few epochs of the default they cost more than
            they give.
        patience: a fold's training stops after so many epochs without a lower loss on what is held out.
    """

    scope: str = "auto"
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float | None = None
    head_learning_rate: float = 1e-3
    layer_decay: float = 0.9
    pull: float = 0.1
    statistics: bool = False
    augment: float = 0.0
    patience: int = 3

    def __post_init__(self) -> None:
        positive: dict[str, float] = {
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "patience": self.patience,
        }
        positive["head_learning_rate"] = self.head_learning_rate
        positive["learning_rate"] = 1.0 if self.learning_rate is None else self.learning_rate
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(f"{name} must be positive. Received: {name}={value}")
        if not 0.0 < self.layer_decay <= 1.0:
            raise ValueError(f"layer_decay must lie in (0, 1]. Received: layer_decay={self.layer_decay}")
        if self.pull < 0.0:
            raise ValueError(f"pull must not be negative. Received: pull={self.pull}")
        check_strength(self.augment)


class FineTuning(BackboneTraining):
    """Fine-tunes a backbone and a head; before each training the head is fitted on frozen features.

    Args:
        backbone: trained in place.
        head: trained in place.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: how.
        class_weight: class id to weight.
        seed: decides views and the order of the batches.
        head_options: of `keras.Model.fit`, for fitting the head.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: keras.Model,
        dataset: Dataset,
        class_ids: np.ndarray,
        settings: FineTuneSettings,
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
            statistics=settings.statistics,
            augment=settings.augment,
            seed=seed,
        )
        super().__init__(part, head, class_weight, seed, head_options)
        part.put_on_top(
            head,
            LOSS,
            rate=settings.learning_rate or default_rate(backbone.network),
            top_rate=settings.head_learning_rate,
            decay=settings.layer_decay,
            pull=settings.pull,
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
        """Probes, then fine-tunes; the loss on held-out examples decides when to stop."""
        settings = self.settings
        self.probe(rows)
        predicted: list[np.ndarray] = []
        own: list[keras.callbacks.Callback] = list(callbacks)
        if held_out is not None:
            own.append(_HeldOut(self, held_out, predicted, settings.patience))
        self.train(
            rows,
            shuffled(settings.batch_size),
            predicted,
            own,
            checkpoint,
            epochs=settings.epochs,
            stop_after=stop_after,
            class_weight=self.class_weight,
            until=until,
        )
        return predicted


class _HeldOut(keras.callbacks.Callback):
    """Predicts held-out examples after each epoch, and stops when their loss no longer falls.

    Args:
        tuning: what is trained.
        rows: the held-out examples.
        predicted: the probabilities go here, an array an epoch.
        patience: epochs without a lower loss.
    """

    def __init__(
        self, tuning: FineTuning, rows: np.ndarray, predicted: list[np.ndarray], patience: int
    ) -> None:
        super().__init__()
        self.tuning, self.rows, self.predicted, self.patience = tuning, rows, predicted, patience

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """See the class."""
        self.predicted.append(self.tuning.predict(self.rows))
        class_ids = self.tuning.part.class_ids[self.rows]
        losses = [calibrated_loss(probabilities, class_ids).mean() for probabilities in self.predicted]
        if len(losses) - 1 - int(np.argmin(losses)) >= self.patience:
            self.model.stop_training = True


def fine_tune(
    backbone: Backbone,
    head: keras.Model,
    labelled: Dataset,
    *,
    settings: FineTuneSettings | None = None,
    class_weight: dict[int, float] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> Any:
    """Fits the head, then trains the chosen parameters of the backbone together with it, both in place.

    `Labeler(transfer="model")` does this only where cross-validation says that it helps; here it is done.

    Args:
        backbone: any backbone with parameters that can move.
        head: compiled, from (n, d) features to (n, k) probabilities.
        labelled: n examples with labels that can all be read; class ids index into its `classes`.
        settings: how; `FineTuneSettings()` by default.
        class_weight: class id to weight; every class weighs 1 by default.
        callbacks: ordinary Keras callbacks.
        checkpoint: a file in which the state is kept now and then; if it is there, training goes on from it,
            and once training is over it is removed.
        seed: decides the views of the examples and the order of the batches.

    Returns:
        The `keras.callbacks.History`.

    Raises:
        ValueError: If the scope is unknown, nothing in it can move, or an example cannot be read.
        DivergedError: If a loss or a weight is not finite any more; backbone and head are then as they were.
    """
    return train_in_place(
        FineTuning,
        backbone,
        head,
        labelled,
        callbacks=callbacks,
        checkpoint=checkpoint,
        settings=settings or FineTuneSettings(),
        class_weight=class_weight,
        seed=seed,
    )


def calibrated_loss(probabilities: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Minus the logarithm of each held-out example's probability of its true class, after a temperature.

    Training sharpens probabilities long after it has begun to make too much of them; a temperature takes
    that back, and is fitted later anyway.

    Args:
        probabilities: (n, k).
        class_ids: (n,) int64, the truth.

    Returns:
        (n,) float64, in nats.
    """
    calibrated = fit_calibration(probabilities, class_ids, "temperature").apply(probabilities)
    return np.asarray(-np.log(np.maximum(calibrated[np.arange(len(class_ids)), class_ids], 1e-7)))
