"""Common code of fine-tuning and contrastive tuning: a moving part, a head on its features, defaults."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from tfautolabel._keras_internals import all_layers
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.training.checkpoints import Checkpoint
from tfautolabel.training.feature_transfer import fit_head
from tfautolabel.training.moving_part import BatchOrder, DivergedError, MovingPart, check_finite
from tfautolabel.training.parameters import NORMALIZATIONS, Snapshot, parameters


class BackboneTraining(abc.ABC):
    """Trains a backbone and a head on some of the examples, each time from the start.

    It is a context manager, like `MovingPart`.

    Args:
        part: trains the backbone on the examples.
        head: trained in place.
        class_weight: class id to weight.
        seed: determines the order of the batches for a head that is trained step by step.
        head_options: options of `keras.Model.fit`, for fitting the head.

    Attributes:
        head: as received.
        part: as received.
        frozen: (n, d) float32, the features of all examples before training.
        history_: the `keras.callbacks.History` of the last training of the backbone.
    """

    def __init__(
        self,
        part: MovingPart,
        head: keras.Model,
        class_weight: dict[int, float] | None,
        seed: int,
        head_options: dict[str, Any] | None,
    ) -> None:
        self.part, self.head = part, head
        self.class_weight, self._seed = class_weight, seed
        self._head_options = head_options or {}
        self.frozen = part.features(np.arange(len(part.examples)))
        self.history_: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.part.__exit__(*error)

    @abc.abstractmethod
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
        """Trains backbone and head from the start.

        Args:
            rows: the examples to learn from.
            held_out: other examples to predict.
            stop_after: the last epoch to train, if it is already chosen; by default the last one of all.
            callbacks: ordinary Keras callbacks, for the backbone's training.
            until: a time of `time.monotonic` at which training must be over.
            checkpoint: a file for the state, written from time to time; training continues from it.

        Returns:
            (m, k) probabilities of the held-out examples, after each epoch that may be chosen.

        Raises:
            OutOfTimeError: If training would not end in time.
            DivergedError: If a loss, a weight or a prediction becomes non-finite.
        """

    def train(
        self,
        rows: np.ndarray,
        order: BatchOrder,
        predicted: list[np.ndarray],
        callbacks: Sequence[keras.callbacks.Callback],
        checkpoint: Path | None,
        **options: Any,
    ) -> None:
        """Trains the moving part, and continues from a checkpoint if there is one.

        Args:
            rows: the examples to learn from.
            order: the batches of an epoch.
            predicted: the predictions after each epoch; a checkpoint keeps them too.
            callbacks: ordinary Keras callbacks.
            checkpoint: a file for the state, written from time to time.
            **options: options of `MovingPart.train`.
        """
        own, first = list(callbacks), 0
        if checkpoint is not None:
            own.append(kept := Checkpoint(checkpoint, self.part.state, predicted))
            first = kept.restore()
        self.history_ = self.part.train(rows, order, callbacks=own, first_epoch=first, **options)

    def probe(self, rows: np.ndarray) -> None:
        """Resets the backbone and fits the head on the frozen features of some examples."""
        self.part.restart()
        self.fit_head(self.frozen[rows], rows)

    def fit_head(self, features: np.ndarray, rows: np.ndarray) -> None:
        """Fits the head on (m, d) features of some examples."""
        fit_head(
            self.head,
            features,
            self.part.class_ids[rows],
            class_weight=self.class_weight,
            seed=self._seed,
            **self._head_options,
        )

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, k) float32 probabilities of some examples from the current backbone and head.

        Raises:
            DivergedError: If a probability is not finite.
        """
        predicted = keras.ops.convert_to_numpy(self.head(self.part.features(rows), training=False))
        check_finite("a probability", predicted)
        return np.asarray(predicted)


def train_in_place(
    training: Callable[..., BackboneTraining],
    backbone: Backbone,
    head: keras.Model,
    labelled: Dataset,
    *,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoint: str | os.PathLike[str] | None,
    **options: Any,
) -> Any:
    """Trains a backbone and a head on all labelled examples; leaves both unchanged if it fails.

    Args:
        training: makes the training from backbone, head, examples, class ids and the options.
        backbone: any backbone with parameters that can be trained.
        head: compiled.
        labelled: examples with labels that can all be read; others are left out.
        callbacks: ordinary Keras callbacks, for the backbone's training.
        checkpoint: a file for the state, written from time to time. If it exists, training continues from it;
            it is removed when training is over.
        **options: options of `training`.

    Returns:
        The `keras.callbacks.History` of the backbone's training.

    Raises:
        ValueError: If no parameter can be trained, or an example cannot be read.
        DivergedError: If a loss or a weight becomes non-finite; backbone and head are then as before.
    """
    kept, examples = None if checkpoint is None else Path(checkpoint), labelled.labelled
    first_head = Snapshot(head.variables)
    with training(backbone, head, examples, examples.class_ids, **options) as tuning:
        try:
            tuning.run(np.arange(len(examples)), callbacks=callbacks, checkpoint=kept)
        except DivergedError:
            tuning.part.restart()
            first_head.restore()
            if kept is not None:
                kept.unlink(missing_ok=True)  # continuing from there would fail in the same way
            raise
    if kept is not None:
        kept.unlink(missing_ok=True)
    return tuning.history_


def scope_of(scope: str, backbone: Backbone) -> str:
    """Returns the requested scope, or the default scope for "auto"."""
    return default_scope(backbone) if scope == "auto" else scope


def default_scope(backbone: Backbone) -> str:
    """Returns the scope for "auto": the last two thirds of blocks for pictures, else all but token tables.

    The first blocks of a picture network are the most general ones, and the slowest, because of their full
    resolution. A token table is half of a small text network, and training hardly changes it.
    """
    blocks = list(dict.fromkeys(parameter.block for parameter in parameters(backbone.network)))
    if backbone.modality == "image":
        return f"last:{max(1, round(len(blocks) * 2 / 3))}"
    return f"last:{len(blocks) - 1}" if len(blocks) > 1 and blocks[0].startswith("embedding") else "all"


def default_rate(network: keras.Model) -> float:
    """Returns the default rate: with batch norms twenty times that of transformers and plain convolutions."""
    has_batch_norm = any(isinstance(layer, NORMALIZATIONS[0]) for layer in all_layers(network))
    return 1e-3 if has_batch_norm else 5e-5
