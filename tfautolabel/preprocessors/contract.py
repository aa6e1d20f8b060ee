"""The interface of every preprocessor: from bytes to the network's tensors, all inside the graph."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfautolabel.data.long_sounds import LongSound
from tfautolabel.preprocessors.reasons import why_unreadable


class Preprocessed(NamedTuple):
    """A network's input for n examples: w windows, at least one per example.

    Attributes:
        inputs: the network's inputs in order, each (w, ...) int32 or float32.
        example: (w,) int64, ascending: the number of the example that each window comes from.
        readable: (n,) bool. An example that could not be read has one window without meaning.
        shortened: (n,) bool, whether the network does not see a part of the example.
    """

    inputs: tuple[tf.Tensor, ...]
    example: tf.Tensor
    readable: tf.Tensor
    shortened: tf.Tensor


class Outside(NamedTuple):
    """What was prepared of n examples outside the graph: each is readable, whole, and in one window.

    Attributes:
        done: (n,) bool, which examples were prepared.
        inputs: the network's inputs in order, each (n, ...), without meaning for examples that were not.
    """

    done: np.ndarray
    inputs: tuple[np.ndarray, ...]


class Filling(NamedTuple):
    """How far a batch may be filled up along its windows' length, with no effect on the result.

    Attributes:
        value: what stands behind the end of a window.
        most: the greatest length of a window.
    """

    value: int
    most: int


class LongWindows(NamedTuple):
    """The windows of one long clip, which a preprocessor makes outside of its graph, some at a time.

    Attributes:
        number: how many windows the clip has.
        width: numbers in the largest input of one window.
        groups: from a number of windows to an iterator over groups of so many windows: the network's inputs
            in order, each (g, ...). The last group may be smaller. It raises `ReadFailure` if the clip turns
            out to be unreadable.
    """

    number: int
    width: int
    groups: Callable[[int], Iterator[tuple[np.ndarray, ...]]]


class Preprocessor(keras.layers.Layer, abc.ABC):
    """Converts encoded examples to the tensors that one kind of network takes.

    A subclass implements `call`, `compute_output_spec`, `identity` and `recorded_examples`, and Keras's
    `get_config`. If it needs files, such as a vocabulary, it also implements Keras's `save_assets` and
    `load_assets`.

    Attributes:
        modality: "image", "text" or "audio".
        requires: packages that its saved graph needs in addition to TensorFlow.
        varying_length: whether the size of the result depends on the examples' lengths. If so, a batch should
            hold examples of similar length.
        network_part: the best number of windows for one thread to run through the network at a time.
        max_batch_bytes: the most bytes of encoded examples in one call, unless a single example has more.
        sample_rate: samples per second that the network takes; None if it takes no sound.
        filling: how windows of unknown length may be filled up; None if they must not be.
    """

    modality: ClassVar[str]
    requires: tuple[str, ...] = ()
    varying_length: ClassVar[bool] = False
    max_batch_bytes: ClassVar[int] = 1 << 30
    network_part: ClassVar[int] = 4
    sample_rate: int | None = None
    filling: Filling | None = None

    def __init__(self, **options: Any) -> None:
        options.setdefault("trainable", False)
        super().__init__(**options)
        self.built = True

    @abc.abstractmethod
    def call(self, examples: tf.Tensor) -> Preprocessed:
        """Prepares examples for the network.

        Args:
            examples: (n,) string.
        """

    def lengths(self, examples: tf.Tensor) -> tf.Tensor:
        """Returns the lengths by which examples are sorted if `varying_length`.

        The length of an example is that of its longest window, in any unit.

        Args:
            examples: (n,) string.

        Returns:
            (n,) integers; by default the bytes of each example.
        """
        return tf.strings.length(examples)

    def outside_graph(self) -> Callable[[Sequence[bytes]], Outside | None] | None:
        """Returns a faster way than `call` for some examples; None, the default, if there is none.

        It gives the same numbers to the bit for the examples that it prepares, and leaves all others to
        `call`. It returns None if it prepares none. Several threads may call it.
        """
        return None

    @property
    def takes_long(self) -> bool:
        """Returns whether there is a `long_windows`."""
        return False

    def long_windows(self, sound: LongSound) -> LongWindows:
        """Returns the windows that `call` would give for the bytes of a clip, without all of its samples.

        Args:
            sound: the clip.

        Raises:
            ReadFailure: If `call` could not read it, with the reason of `why_unreadable`.
            TypeError: If `takes_long` is False.
        """
        raise TypeError(f"{type(self).__name__} takes no long clips. Received: {len(sound):,} bytes of sound")

    @abc.abstractmethod
    def compute_output_spec(self, examples: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the shapes and types of the result, as a `Preprocessed` of `keras.KerasTensor`."""

    def save_assets(self, folder: str) -> None:
        """Writes the files that the layer needs into a folder; none by default."""

    def load_assets(self, folder: str) -> None:
        """Reads what `save_assets` wrote."""

    @property
    def limits(self) -> dict[str, int]:
        """Returns by name the limits that an example must not exceed; none by default."""
        return {}

    def why_unreadable(self, encoded: bytes) -> str:
        """Says in one line why an example that `call` could not read is not valid."""
        return why_unreadable(self.modality, encoded, **self.limits)

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Returns everything that decides the result, for fingerprints.

        It is ready for JSON, and equal for equal results.
        """

    def reads_as(self, saved: dict[str, Any]) -> bool:
        """Returns whether a preprocessor of this identity gives the same results, up to rounding.

        Args:
            saved: an `identity`, possibly of an earlier version.
        """
        return saved == self.identity()

    @abc.abstractmethod
    def recorded_examples(self) -> list[bytes]:
        """Returns synthetic examples, and an unreadable one, for the check of an exported model.

        They are synthetic so that a model never contains a user's data.
        """


@keras.saving.register_keras_serializable("tfautolabel")
class WindowMean(keras.layers.Layer):
    """Returns the mean over each example's windows.

    Call arguments:
        vectors: (w, d) float32, one row per window.
        example: (w,) int64, ascending, every number from 0 to n - 1 at least once.

    Returns:
        (n, d) float32.
    """

    def call(self, vectors: tf.Tensor, example: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.math.segment_mean(vectors, example)

    def compute_output_spec(
        self,
        vectors: keras.KerasTensor,
        example: keras.KerasTensor,  # noqa: ARG002
    ) -> keras.KerasTensor:
        """Returns the shape: one row per example, for any number of examples."""
        return keras.KerasTensor((None, vectors.shape[-1]), vectors.dtype)


def one_window_each(
    inputs: tuple[tf.Tensor, ...], readable: tf.Tensor, shortened: tf.Tensor | None = None
) -> Preprocessed:
    """Returns the result of a preprocessor that never cuts an example into windows.

    Args:
        inputs: tensors of n rows.
        readable: (n,) bool.
        shortened: (n,) bool; by default no example is shortened.
    """
    rows = tf.range(tf.size(readable, out_type=tf.int64))
    return Preprocessed(inputs, rows, readable, tf.zeros_like(readable) if shortened is None else shortened)


def output_spec(*inputs: keras.KerasTensor) -> Preprocessed:
    """Returns the symbolic result of a preprocessor whose network takes these inputs."""
    return Preprocessed(
        tuple(inputs),
        keras.KerasTensor((None,), "int64"),
        keras.KerasTensor((None,), "bool"),
        keras.KerasTensor((None,), "bool"),
    )
