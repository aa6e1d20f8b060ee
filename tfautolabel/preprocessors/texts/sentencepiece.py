"""SentencePiece (Kudo and Richardson 2018, arXiv 1808.06226) in the graph, through TensorFlow Text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfautolabel._optional import require
from tfautolabel.preprocessors.texts.preprocessor import TextPreprocessor
from tfautolabel.preprocessors.texts.spelled_out import SpecialTokens

_MODEL = "sentencepiece.model"


@keras.saving.register_keras_serializable("tfautolabel")
class SentencePiecePreprocessor(TextPreprocessor):
    """Converts texts to token ids.

    Args:
        model: a serialised SentencePiece model. None if `load_assets` will load it.
        begin: the id at the beginning of a piece of text.
        end: the id at its end.
        unknown: the id for a text without any token.
        prefix: text before each text, as in the network's training.
        max_length: the most tokens that the network takes, begin and end included.
        long_text: "truncate" to cut off longer texts, "average" to cut them into windows.
        special: tokens to recognise when a text contains their spelling, see `SpecialTokens`.
        white_space: more characters that count as a space, in the form of a pattern's character class.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32, padded with -1. Empty and blank texts are not
        readable.

    Raises:
        MissingExtraError: If TensorFlow Text is not installed.
    """

    requires = ("tensorflow-text",)
    kind = "sentencepiece"
    settings = (
        "begin", "end", "unknown", "prefix", "max_length", "long_text", "special", "white_space",
    )  # fmt: skip

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
        super().__init__(max_length, long_text, **options)
        self.begin, self.end, self.unknown = begin, end, unknown
        self.prefix = prefix
        self.special = {token: dict(rule) for token, rule in (special or {}).items()}
        self.white_space = white_space
        self._spelled_out = SpecialTokens(self.special) if self.special else None
        if model is not None:
            self._set_model(model)

    def _set_model(self, model: bytes) -> None:
        text = require("tensorflow_text", extra="text")
        self._model = model
        self._tokenizer = text.SentencepieceTokenizer(model, out_type=tf.int32)

    def _pieces(self, texts: tf.Tensor) -> tf.RaggedTensor:
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

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See the base class. A text without any token becomes `unknown`."""
        # Invalid UTF-8 makes the tokenizer fail for the whole batch.
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        ids = self._pieces(texts)
        empty = tf.cast(tf.equal(ids.row_lengths(), 0), tf.int64)
        stand_in = tf.RaggedTensor.from_tensor(tf.fill([tf.size(texts), 1], self.unknown), lengths=empty)
        return tf.concat([ids, stand_in], axis=1)

    def marks(self) -> tuple[int, int]:
        """Returns `begin` and `end`."""
        return self.begin, self.end

    def content(self) -> bytes:
        """Returns the model."""
        return self._model

    def save_assets(self, folder: str) -> None:
        """Writes the SentencePiece model."""
        Path(folder, _MODEL).write_bytes(self._model)

    def load_assets(self, folder: str) -> None:
        """Reads the SentencePiece model."""
        self._set_model(Path(folder, _MODEL).read_bytes())
