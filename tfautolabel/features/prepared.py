"""Prepares batches of examples for the network, several batches at a time if there are many cores."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.features.batches import Example
from tfautolabel.features.engines.contract import Preparation
from tfautolabel.preprocessors import Outside

MOST_THREADS = 8
"""Batches that are prepared at a time on a machine with many cores."""

OutsideGraph = Callable[[Sequence[bytes]], Outside | None]
"""What `Preprocessor.outside_graph` returns."""
_Arrays = tuple[list[np.ndarray], np.ndarray, np.ndarray, np.ndarray]
"""The inputs, `example`, `readable` and `shortened` of a `Preprocessed`."""


class Computed(NamedTuple):
    """What the network gave for n examples.

    Attributes:
        examples: the examples.
        features: (n, d) float32, without meaning for an example that is not readable.
        readable: (n,) bool.
        shortened: (n,) bool.
        reason: why the only example is not readable, if that is known.
    """

    examples: list[Example]
    features: np.ndarray
    readable: np.ndarray
    shortened: np.ndarray
    reason: str | None = None


Finish = Callable[[], Computed | None]
"""Gives what is known of some examples; None if more of their windows follow."""


class Ready(Protocol):
    """Windows that are ready for the network."""

    def size(self) -> int:
        """Returns how many bytes wait for the network."""

    def computed(self, network: Callable[..., np.ndarray]) -> Finish:
        """Passes the windows through the network, from the inputs to (w, d) float32, in one of some threads.

        Returns:
            What gives the result. It is to be called in the order of the windows, in one thread, and holds
            no inputs.
        """


@dataclass(frozen=True, eq=False)
class Step:
    """What makes some windows ready, and about how many bytes they will have."""

    make: Callable[[], Ready]
    guess: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch of n examples that is ready for the network; see `Preprocessed`.

    Attributes:
        examples: the examples. The bytes of a readable one are dropped.
        inputs: the network's inputs in order, each (w, ...).
        example: (w,) int64, the number of the example that each window comes from.
        readable: (n,) bool.
        shortened: (n,) bool.
    """

    examples: list[Example]
    inputs: list[np.ndarray]
    example: np.ndarray
    readable: np.ndarray
    shortened: np.ndarray

    def size(self) -> int:
        """Returns how many bytes in it wait for the network."""
        return sum(array.nbytes for array in self.inputs)

    def computed(self, network: Callable[..., np.ndarray]) -> Finish:
        """Passes the batch through the network; see `Ready`."""
        features = _window_means(network(*self.inputs), self.example)
        found = Computed(self.examples, features, self.readable, self.shortened)
        return lambda: found


def _window_means(vectors: np.ndarray, example: np.ndarray) -> np.ndarray:
    """Returns the (n, d) means of (w, d) vectors over each example's windows."""
    starts = np.flatnonzero(np.diff(example, prepend=-1))
    if len(starts) == len(vectors):
        return vectors
    counts = np.diff(starts, append=len(vectors))
    return np.add.reduceat(vectors, starts) / counts[:, None].astype(np.float32)


def prepare(
    examples: list[Example], preprocess: Preparation, outside: OutsideGraph | None = None
) -> Prepared:
    """Prepares some examples for the network.

    Args:
        examples: n examples.
        preprocess: the preprocessor's graph.
        outside: the faster way that the preprocessor has for some of them, if it has one.
    """
    encoded = [example.encoded for example in examples]
    some = outside(encoded) if outside is not None else None
    inputs, example, readable, shortened = (
        _of_graph(encoded, preprocess) if some is None else _completed(some, encoded, preprocess)
    )
    # Only the reason for a failure needs the bytes again.
    pairs = zip(examples, readable, strict=True)
    kept = [example._replace(encoded=b"") if done else example for example, done in pairs]
    return Prepared(kept, inputs, example, readable, shortened)


def _of_graph(encoded: list[bytes], preprocess: Preparation) -> _Arrays:
    ready = preprocess(tf.constant(encoded))
    inputs = [_as_array(tensor) for tensor in ready.inputs]
    return inputs, ready.example.numpy(), ready.readable.numpy(), ready.shortened.numpy()


def _completed(some: Outside, encoded: list[bytes], preprocess: Preparation) -> _Arrays:
    """Adds to what was prepared outside the graph what the graph makes of the others."""
    inputs, readable, shortened = list(some.inputs), some.done.copy(), np.zeros_like(some.done)
    rest = np.flatnonzero(~some.done)
    if len(rest):
        others, _, readable[rest], shortened[rest] = _of_graph([encoded[row] for row in rest], preprocess)
        for array, other in zip(inputs, others, strict=True):
            array[rest] = other
    return inputs, np.arange(len(encoded)), readable, shortened


def preparing_threads(cores: int) -> int:
    """Returns how many batches are prepared at a time.

    One batch at a time cannot keep many cores busy, because a call of the graph spends about 2 ms on one core
    only. Half of the cores are left to the network. More than a few threads would have nothing to do, because
    the memory for waiting batches is limited.

    Args:
        cores: the cores that the process may use.

    Examples:
        >>> [preparing_threads(cores) for cores in (1, 2, 4, 16, 64)]
        [1, 1, 2, 8, 8]
    """
    return min(max(cores // 2, 1), MOST_THREADS)


def expected_bytes(examples: list[Example], each: int) -> int:
    """Returns about how large a batch will be.

    Args:
        examples: what will be prepared.
        each: what `fixed_bytes` gives for the network.
    """
    # A sample of sound has two bytes in files and four in memory.
    return max(2 * sum(example.size for example in examples), each * len(examples))


def fixed_bytes(network: keras.Model) -> int:
    """Returns how many bytes of input one window has, without inputs whose lengths depend on the example."""
    shapes = [(tensor.shape[1:], tf.as_dtype(tensor.dtype).size) for tensor in network.inputs]
    return sum(math.prod(shape) * size for shape, size in shapes if None not in shape)


def _as_array(tensor: tf.Tensor) -> np.ndarray:
    """Returns a view if possible, because `numpy()` would copy every pixel again."""
    return tensor.numpy() if tensor.dtype == tf.string else np.asarray(memoryview(tensor))
