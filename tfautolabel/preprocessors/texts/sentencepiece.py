"""SentencePiece (Kudo and Richardson 2018, arXiv 1808.06226) in the graph, through TensorFlow Text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel.preprocessors.contract import Preprocessed, Preprocessor, output_spec
from tfautolabel.preprocessors.texts.spelled_out import SpecialTokens
from tfautolabel.preprocessors.texts.token_windows import check_long_text, cut_tokens
from tfautolabel.preprocessors.texts.wordpiece import recorded_texts

VERSION = 1
"""Raised when the same bytes would give other tokens, so that cached features are not mixed up."""

_MODEL = "sentencepiece.model"


@keras.saving.register_keras_serializable("tfautolabel")
class SentencePiecePreprocessor(Preprocessor):
    """Texts to token ids.

    Args:
        model: a serialised SentencePiece model; None if `load_assets` will bring it.
        begin: the id that begins a piece of text.
        end: the id that ends it.
        unknown: what stands for a text without any token.
        prefix: put in front of each text, as the network was trained.
        max_length: tokens that the network takes, begin and end included.
        long_text: "truncate" to cut longer texts, "average" to cut them in windows.
        special: tokens that are recognised where a text spells them out, see `SpecialTokens`.
        white_space: further characters that count as a space, as a pattern has them within brackets.
        **options: of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; bytes that are not count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32, padded with -1. Empty and blank texts are not
        readable.

    Raises:
        MissingExtraError: If TensorFlow Text is not installed.
    """

    modality = "text"
    requires = ("tensorflow-text",)
    varying_length = True
    max_batch_bytes = 4 * 1024 * 1024
    network_part = 16

    def __init__(
        self,
        model: bytes | None = None,
        *,
        begin: int,
        end: int,
        unknown: int,
        prefix: str = "",
        max_length: int = 256,
        long_text: str = "truncate",
        special: Mapping[str, Mapping[str, Any]] | None = None,
        white_space: str = "",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_long_text(long_text)
        self.begin, self.end, self.unknown = begin, end, unknown
        self.prefix = prefix
        self.max_length = max_length
        self.long_text = long_text
        self.special = {token: dict(rule) for token, rule in (special or {}).items()}
        self.white_space = white_space
        self._spelled_out = SpecialTokens(self.special) if self.special else None
        if model is not None:
            self._set_model(model)

    def _set_model(self, model: bytes) -> None:
        text = require("tensorflow_text", extra="text")
        self._model = model
        self._tokenizer = text.SentencepieceTokenizer(model, out_type=tf.int32)

    def _tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        prefixed = tf.strings.join([self.prefix, texts]) if self.prefix else texts
        if self.white_space:
            prefixed = tf.strings.regex_replace(prefixed, f"[{self.white_space}]", " ")
        if self._spelled_out is None:
            return self._tokenizer.tokenize(prefixed)
        parts = self._spelled_out.split(prefixed)
        numbers = self._spelled_out.ids(parts.values)
        is_text = numbers < 0
        ids = self._tokenizer.tokenize(tf.where(is_text, parts.values, ""))
        marks = tf.RaggedTensor.from_tensor(numbers[:, None], lengths=tf.cast(~is_text, tf.int64))
        return parts.with_values(tf.concat([ids, marks], axis=1)).merge_dims(1, 2)

    def lengths(self, examples: tf.Tensor) -> tf.Tensor:
        """Tokens, at most as many as the network takes."""
        return tf.minimum(self._tokens(_valid(examples)).row_lengths(), self.max_length)

    def call(self, examples: tf.Tensor) -> Preprocessed:
        """See the class."""
        texts = _valid(tf.reshape(examples, [-1]))
        ids = self._tokens(texts)
        empty = tf.cast(tf.equal(ids.row_lengths(), 0), tf.int64)
        stand_in = tf.RaggedTensor.from_tensor(tf.fill([tf.size(texts), 1], self.unknown), lengths=empty)
        return cut_tokens(
            tf.concat([ids, stand_in], axis=1),
            tf.strings.length(tf.strings.strip(texts)) > 0,
            begin=self.begin,
            end=self.end,
            max_length=self.max_length,
            long_text=self.long_text,
        )

    def compute_output_spec(self, examples: Any) -> Preprocessed:  # noqa: ARG002
        """Shapes and types of the result."""
        return output_spec(keras.KerasTensor((None, None), "int32"))

    def identity(self) -> dict[str, Any]:
        """Version, settings and the model's hash."""
        digest = hashlib.sha256(self._model).hexdigest()
        return {
            "preprocessor": "sentencepiece",
            "version": VERSION,
            **self._settings(),
            "model_sha256": digest,
        }

    def recorded_examples(self) -> list[bytes]:
        """Texts of several kinds and lengths, and one that is empty."""
        return recorded_texts()

    def save_assets(self, folder: str) -> None:
        """Writes the SentencePiece model."""
        Path(folder, _MODEL).write_bytes(self._model)

    def load_assets(self, folder: str) -> None:
        """Reads the SentencePiece model."""
        self._set_model(Path(folder, _MODEL).read_bytes())

    def _settings(self) -> dict[str, Any]:
        names = ("begin", "end", "unknown", "prefix", "max_length", "long_text", "special", "white_space")
        return {name: getattr(self, name) for name in names}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer, but for the model."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, **self._settings()}


def _valid(texts: tf.Tensor) -> tf.Tensor:
    """Valid UTF-8: anything else makes the tokenizer give up the whole batch."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
