"""Model transfer: some of a backbone's parameters continue to learn, together with the head.

The head is first trained on frozen features, and only then the backbone is trained, because an untrained head
would distort good features (Kumar et al. 2022, arXiv 2202.10054).
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
    """Settings of fine-tuning.

    Attributes:
        scope: which parameters are trained: "head", "norm" (scale and shift of normalisations), "last:n" (the
            last n blocks), "all", or "auto", see `default_scope`.
        epochs: how many epochs the learning rate schedule has. With cross-validation, training stops after
            the epoch with the lowest cross-validated loss.
        batch_size: examples in a step.
        learning_rate: the peak rate of the last block; None for that of `default_rate`.
        head_learning_rate: the peak rate of the head.
        layer_decay: the factor of a block's rate for each block after it, in (0, 1].
        pull: the strength of L2-SP: the share of the distance to the start by which a parameter goes back at
            a learning rate of one; 0 for none.
        statistics: whether the moving statistics of batch norms are updated; with few labels better not.
        augment: in [0, 1], the strength of augmentation for pictures and sounds, 0 for none; texts have none.
            It helps in long training: with the few default epochs it costs more than it helps.
        patience: a fold's training stops after so many epochs without a lower held-out loss.
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
    """Fine-tunes a backbone and a head; fits the head on frozen features before each training.

    Args:
        backbone: trained in place.
        head: trained in place.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: the settings of fine-tuning.
        class_weight: class id to weight.
        seed: determines views and the order of the batches.
        head_options: options of `keras.Model.fit`, for fitting the head.
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
        """Fits the head, then fine-tunes; the loss on held-out examples decides when to stop."""
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
        tuning: the training that this belongs to.
        rows: the held-out examples.
        predicted: the probabilities are added here, one array per epoch.
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

    `Labeler(transfer="model")` keeps the result only if cross-validation says that it helps; this function
    always does.

    Args:
        backbone: any backbone with parameters that can be trained.
        head: compiled, from (n, d) features to (n, k) probabilities.
        labelled: n examples with labels that can all be read; class ids index into its `classes`.
        settings: the settings of fine-tuning; `FineTuneSettings()` by default.
        class_weight: class id to weight; every class weighs 1 by default.
        callbacks: ordinary Keras callbacks.
        checkpoint: a file for the state, written from time to time. If it exists, training continues from it;
            it is removed when training is over.
        seed: determines the views of the examples and the order of the batches.

    Returns:
        The `keras.callbacks.History`.

    Raises:
        ValueError: If the scope is unknown or has no trainable parameters, or an example cannot be read.
        DivergedError: If a loss or a weight becomes non-finite; backbone and head are then as before.
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
    """Returns each held-out example's negative log-probability of its true class, after temperature scaling.

    Training continues to sharpen probabilities long after they have become overconfident. A temperature
    corrects this, and it is fitted later anyway.

    Args:
        probabilities: (n, k).
        class_ids: (n,) int64, the truth.

    Returns:
        (n,) float64, in nats.
    """
    calibrated = fit_calibration(probabilities, class_ids, "temperature").apply(probabilities)
    return np.asarray(-np.log(np.maximum(calibrated[np.arange(len(class_ids)), class_ids], 1e-7)))
