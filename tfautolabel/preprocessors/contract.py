"""What every preprocessor promises: bytes in, the network's tensors out, all inside the graph."""

from __future__ import annotations

import abc
from typing import Any, ClassVar, NamedTuple

import keras
import tensorflow as tf

from tfautolabel.preprocessors.reasons import why_unreadable


class Preprocessed(NamedTuple):
    """What a network takes for n examples: w windows, at least one for every example.

    Attributes:
        inputs: the network's inputs in order, each (w, ...) int32 or float32.
        example: (w,) int64, ascending: the example that a window is cut from.
        readable: (n,) bool; an example that could not be read has one window that means nothing.
        shortened: (n,) bool; part of the example lies beyond what the network is shown.
    """

    inputs: tuple[tf.Tensor, ...]
    example: tf.Tensor
    readable: tf.Tensor
    shortened: tf.Tensor


class Preprocessor(keras.layers.Layer, abc.ABC):
    """Encoded examples to the tensors that one kind of network takes.

    A subclass implements `call`, `compute_output_spec`, `identity` and `recorded_examples`, and Keras's
    `get_config`; one that needs files, such as a vocabulary, also Keras's `save_assets` and `load_assets`.

    Attributes:
        modality: "image", "text" or "audio".
        requires: packages that a saved graph of it needs beside TensorFlow.
        varying_length: whether the size of its result follows the examples' lengths, so that batches are best
            made of examples of similar length.
        network_part: windows that one thread best takes through the network at a time.
        max_batch_bytes: the most bytes of encoded examples to give to one call, unless a single one has more.
        sample_rate: samples a second that the network takes; None if it takes no sound.
    """

    modality: ClassVar[str]
    requires: tuple[str, ...] = ()
    varying_length: ClassVar[bool] = False
    max_batch_bytes: ClassVar[int] = 1 << 30
    network_part: ClassVar[int] = 4
    sample_rate: int | None = None

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
        """What the examples are sorted by, where `varying_length`: the longest window of each, in any unit.

        Args:
            examples: (n,) string.

        Returns:
            (n,) integers; by default the bytes of each.
        """
        return tf.strings.length(examples)

    @abc.abstractmethod
    def compute_output_spec(self, examples: keras.KerasTensor) -> keras.KerasTensor:
        """Shapes and types of the result, as a `Preprocessed` of `keras.KerasTensor`."""

    def save_assets(self, folder: str) -> None:
        """Writes the files that the layer needs into a folder; none by default."""

    def load_assets(self, folder: str) -> None:
        """Reads what `save_assets` wrote."""

    @property
    def limits(self) -> dict[str, int]:
        """What an example must not exceed to be read, by name; none by default."""
        return {}

    def why_unreadable(self, encoded: bytes) -> str:
        """Says in one line why an example that `call` could not read is not valid."""
        return why_unreadable(self.modality, encoded, **self.limits)

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, for fingerprints: ready for JSON, equal for equal results."""

    def reads_as(self, saved: dict[str, Any]) -> bool:
        """Whether a preprocessor of this identity reads examples as this one does, but for rounding.

        Args:
            saved: an `identity`, perhaps of an earlier version.
        """
        return saved == self.identity()

    @abc.abstractmethod
    def recorded_examples(self) -> list[bytes]:
        """Made-up examples, and one that cannot be read, by which an exported model is checked.

        Nobody's own data travels with a model.
        """


@keras.saving.register_keras_serializable("tfautolabel")
class WindowMean(keras.layers.Layer):
    """The mean over each example's windows.

    Call arguments:
        vectors: (w, d) float32, one row a window.
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
        """One row an example, however many that are."""
        return keras.KerasTensor((None, vectors.shape[-1]), vectors.dtype)


def one_window_each(
    inputs: tuple[tf.Tensor, ...], readable: tf.Tensor, shortened: tf.Tensor | None = None
) -> Preprocessed:
    """The result of a preprocessor that never cuts an example in windows.

    Args:
        inputs: tensors of n rows.
        readable: (n,) bool.
        shortened: (n,) bool; nothing is shortened by default.
    """
    rows = tf.range(tf.size(readable, out_type=tf.int64))
    return Preprocessed(inputs, rows, readable, tf.zeros_like(readable) if shortened is None else shortened)


def output_spec(*inputs: keras.KerasTensor) -> Preprocessed:
    """The symbolic result of a preprocessor whose network takes these inputs."""
    return Preprocessed(
        tuple(inputs),
        keras.KerasTensor((None,), "int64"),
        keras.KerasTensor((None,), "bool"),
        keras.KerasTensor((None,), "bool"),
    )
