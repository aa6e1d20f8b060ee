"""The interface of every engine: what runs a frozen network, on which device and in which precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfautolabel._precision import FLOAT32
from tfautolabel.preprocessors import Preprocessed, Preprocessor


class Engine(Protocol):
    """A network that is ready to run. Later training of the network does not change it."""

    def warm_up(self) -> None:
        """Does what the first call would otherwise wait for."""

    def __call__(self, *inputs: np.ndarray) -> np.ndarray:
        """Maps inputs of (w, ...) each to (w, d) float32. Threads may call it at the same time."""

    def shortfall(self, *inputs: np.ndarray) -> str:
        """Returns why it does not compute in the precision that it is for, or "".

        Args:
            *inputs: what `__call__` takes.
        """

    def remark(self) -> str:
        """Returns what one should know of it on this machine, or "", once it has run."""


Preparation = Callable[[tf.Tensor], Preprocessed]
"""Turns (n,) string, encoded examples, into an engine's inputs, each with one row a window."""


@dataclass(frozen=True)
class EngineKind:
    """One kind of engine.

    Attributes:
        device: "cpu" or "gpu".
        precisions: those that it has, the fastest first.
        missing: returns why it can run no network here, or "".
        unfit: returns why it cannot run a network, or "".
        make: makes an engine of a network, its preprocessor and a precision.
        prepare: makes what prepares examples for it, on the CPU; all but the inputs is as the preprocessor
            gives it.
        least_cosine: precision to the lowest cosine between its features and those of the Keras network that
            is accepted for a recorded example of the preprocessor.
        most_difference: precision to the greatest difference between a probability from its features and one
            in float32 with which a model is exported.
        batches: it is given so many times the batch size at once.
        parallel: returns how many batches should be computed at a time.
    """

    device: str
    precisions: tuple[str, ...]
    missing: Callable[[], str]
    unfit: Callable[[keras.Model], str]
    make: Callable[[keras.Model, Preprocessor, str], Engine]
    prepare: Callable[[Preprocessor], Preparation]
    least_cosine: dict[str, float]
    most_difference: dict[str, float]
    batches: int = 1
    parallel: Callable[[], int] = lambda: 1


@dataclass(frozen=True)
class EngineChoice:
    """The engine that computes features, and why.

    Attributes:
        name: a key of `ENGINES`.
        device: "cpu" or "gpu".
        precision: "float32", "bf16" or "float16".
        why: why it is this one, or not a faster one; one clause.
    """

    name: str
    device: str
    precision: str
    why: str

    def key(self, fingerprint: str) -> str:
        """Returns the name of what is cached: features of two precisions are never mixed.

        Args:
            fingerprint: the backbone's.
        """
        return fingerprint if self.precision == FLOAT32 else f"{fingerprint}-{self.precision}"

    @property
    def arithmetic(self) -> str:
        """What features of another engine must share with these, to be used beside them."""
        return self.precision

    def sentence(self) -> str:
        """Says which engine it is, and why."""
        return f"features are computed on the {self.device.upper()} in {self.precision}, because {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, ready for JSON."""
        return {"name": self.name, "device": self.device, "precision": self.precision, "why": self.why}
