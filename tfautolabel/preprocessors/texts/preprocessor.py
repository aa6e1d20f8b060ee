"""The base of all tokenizers: from texts to token ids between two special tokens."""

from __future__ import annotations

import abc
import hashlib
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfautolabel.preprocessors.contract import Filling, Preprocessed, Preprocessor, output_spec
from tfautolabel.preprocessors.texts.token_windows import PADDING, check_long_text, cut_tokens


class TextPreprocessor(Preprocessor):
    """Converts texts to token ids. A subclass defines the tokens of a text.

    Args:
        max_length: the most tokens that the network takes, with the special tokens at both ends.
        long_text: "truncate" to cut off longer texts, "average" to cut them into windows.
        **options: options of `keras.layers.Layer`.

    Attributes:
        kind: the preprocessor's name in an identity.
        version: increased when the same bytes would give other tokens, so that old cached features are not
            used.
        settings: names of the arguments that decide the result, except for the vocabulary.
        content_name: the name of the vocabulary's hash in an identity.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32, padded with -1. Empty and blank texts are not
        readable.
    """

    modality = "text"
    varying_length = True
    max_batch_bytes = 4 * 1024 * 1024
    network_part = 16

    kind: ClassVar[str]
    version: ClassVar[int] = 1
    settings: ClassVar[tuple[str, ...]]
    content_name: ClassVar[str] = "model_sha256"

    def __init__(self, max_length: int, long_text: str, **options: Any) -> None:
        super().__init__(**options)
        check_long_text(long_text)
        self.max_length = max_length
        self.long_text = long_text
        self.filling = Filling(PADDING, max_length)

    @abc.abstractmethod
    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the (n, ragged) int32 token ids of (n,) texts, without the special tokens at both ends."""

    @abc.abstractmethod
    def marks(self) -> tuple[int, int]:
        """Returns the ids at the beginning and the end of a text."""

    @abc.abstractmethod
    def content(self) -> bytes:
        """Returns the vocabulary, and everything else besides the settings that decides the tokens."""

    def lengths(self, examples: tf.Tensor) -> tf.Tensor:
        """Returns the numbers of tokens, at most as many as the network takes."""
        return tf.minimum(self.tokens(tf.reshape(examples, [-1])).row_lengths(), self.max_length)

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        texts = tf.reshape(examples, [-1])
        begin, end = self.marks()
        return cut_tokens(
            self.tokens(texts),
            tf.strings.length(tf.strings.strip(texts)) > 0,
            begin=begin,
            end=end,
            max_length=self.max_length,
            long_text=self.long_text,
        )

    def compute_output_spec(self, examples: Any) -> Preprocessed:  # noqa: ARG002
        """Returns the shapes and types of the result."""
        return output_spec(keras.KerasTensor((None, None), "int32"))

    def identity(self) -> dict[str, Any]:
        """Returns version, settings and the hash of the vocabulary."""
        digest = hashlib.sha256(self.content()).hexdigest()
        named = {"preprocessor": self.kind, "version": self.version}
        return {**named, **self._settings(), self.content_name: digest}

    def recorded_examples(self) -> list[bytes]:
        """Returns texts of several kinds and lengths, and an empty one."""
        return recorded_texts()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer, but for the vocabulary."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.settings}


def recorded_texts() -> list[bytes]:
    """Returns synthetic texts for the check of exported text models."""
    texts = [
        "The parcel arrived two days late, and the box was torn.",
        "Great!!! Worth every penny :-)",
        "¿Dónde está la biblioteca? Ça va, naïve façade.",
        "这家餐馆的服务很好，价格也不贵。",
        "word " * 600,
        "a",
    ]
    return [*(text.encode() for text in texts), b""]
