"""What fine-tuning and contrastive tuning share: a moving part, a head fitted on its features, defaults."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np

from tfautolabel._keras_internals import all_layers
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.training.feature_transfer import fit_head
from tfautolabel.training.moving_part import MovingPart, check_finite
from tfautolabel.training.parameters import NORMALIZATIONS, parameters


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
        return predicted


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
