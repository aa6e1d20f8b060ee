"""What fine-tuning and contrastive tuning share: a moving part, a head fitted on its features, defaults."""

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

    A context manager, as `MovingPart` is.

    Args:
        part: what trains the backbone on the examples.
        head: trained in place.
        class_weight: class id to weight.
        seed: decides the order of the batches for a head that is trained step by step.
        head_options: of `keras.Model.fit`, for fitting the head.

    Attributes:
        head: as received.
        part: as received.
        frozen: (n, d) float32, the features of all examples before anything moves.
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
            held_out: others that are predicted.
            stop_after: the epoch to stop after, where that is chosen; by default the last.
            callbacks: ordinary Keras callbacks, for the backbone's training.
            until: a moment of `time.monotonic` at which it must be over.
            checkpoint: a file in which the state is kept now and then, and from which it goes on.

        Returns:
            (m, k) probabilities of the held-out examples after each epoch that can be chosen.

        Raises:
            OutOfTimeError: If it would not be over in time.
            DivergedError: If a loss, a weight or a prediction is not finite any more.
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
        """Trains the part that moves, from where a checkpoint is, if there is one.

        Args:
            rows: the examples to learn from.
            order: the batches of an epoch.
            predicted: what was predicted after each epoch, which a checkpoint keeps too.
            callbacks: ordinary Keras callbacks.
            checkpoint: a file in which the state is kept now and then.
            **options: of `MovingPart.train`.
        """
        own, first = list(callbacks), 0
        if checkpoint is not None:
            own.append(kept := Checkpoint(checkpoint, self.part.state, predicted))
            first = kept.restore()
        self.history_ = self.part.train(rows, order, callbacks=own, first_epoch=first, **options)

    def probe(self, rows: np.ndarray) -> None:
        """Puts the backbone back to the start and fits the head on the frozen features of some examples."""
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
        """(m, k) float32 probabilities of some examples as backbone and head are now.

        Raises:
            DivergedError: If one of them is not finite.
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
    """Trains a backbone and a head on all labelled examples, or leaves both as they were.

    Args:
        training: makes the training from backbone, head, examples, class ids and the options.
        backbone: any backbone with parameters that can move.
        head: compiled.
        labelled: examples with labels that can all be read; others are left out.
        callbacks: ordinary Keras callbacks, for the backbone's training.
        checkpoint: a file in which the state is kept now and then; if it is there, training goes on from it,
            and once training is over it is removed.
        **options: of `training`.

    Returns:
        The `keras.callbacks.History` of the backbone's training.

    Raises:
        ValueError: If nothing can move, or an example cannot be read.
        DivergedError: If a loss or a weight is not finite any more; backbone and head are then as they were.
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
                kept.unlink(missing_ok=True)  # to go on from there would end in the same way
            raise
    if kept is not None:
        kept.unlink(missing_ok=True)
    return tuning.history_


def scope_of(scope: str, backbone: Backbone) -> str:
    """The scope that was asked for, or what "auto" stands for."""
    return default_scope(backbone) if scope == "auto" else scope


def default_scope(backbone: Backbone) -> str:
    """What "auto" stands for: for pictures the last two thirds of the blocks, else all but tables of tokens.

    The first blocks of a network of pictures are the most general and, at full resolution, the slowest. A
    table of tokens is half of a small text network and hardly moves.
    """
    blocks = list(dict.fromkeys(parameter.block for parameter in parameters(backbone.network)))
    if backbone.modality == "image":
        return f"last:{max(1, round(len(blocks) * 2 / 3))}"
    return f"last:{len(blocks) - 1}" if len(blocks) > 1 and blocks[0].startswith("embedding") else "all"


def default_rate(network: keras.Model) -> float:
    """Networks with batch norms take twenty times the rate of transformers and of plain convolutions."""
    has_batch_norm = any(isinstance(layer, NORMALIZATIONS[0]) for layer in all_layers(network))
    return 1e-3 if has_batch_norm else 5e-5
