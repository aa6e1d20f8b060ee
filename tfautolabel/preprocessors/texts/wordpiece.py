"""BERT's tokenizer (Devlin et al. 2019, arXiv 1810.04805) with TensorFlow's own operations.

It gives the same tokens as Hugging Face's `BertTokenizerFast`. It removes control characters and makes each
Chinese character and each punctuation mark a word. For uncased models it removes accents and lowercases
letters. It splits each word into the longest pieces of the vocabulary, from left to right.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfautolabel.preprocessors.texts.preprocessor import TextPreprocessor
from tfautolabel.preprocessors.texts.word_pieces import MAX_WORD, WordPieces
from tfautolabel.preprocessors.texts.words import Words

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Tokens that BERT recognises in a text, if the vocabulary has them."""

_VOCABULARY = "vocabulary.txt"


@keras.saving.register_keras_serializable("tfautolabel")
class WordPiecePreprocessor(TextPreprocessor):
    """Converts texts to token ids.

    Args:
        vocabulary: the pieces in the order of their ids. Pieces inside a word begin with "##". None if
            `load_assets` will load them.
        max_length: the most tokens that the network takes, with the special tokens at both ends.
        long_text: "truncate" to cut off longer texts, "average" to cut them into windows.
        lowercase: whether to lowercase letters, as for uncased models.
        strip_accents: whether to remove accents, by default the same as `lowercase`.
        split_chinese: whether each Chinese character is a word.
        begin: the token at the beginning of a text. `end` is the one at its end, and `unknown` replaces a
            word that the pieces do not cover.
        special: tokens to recognise when a text contains their spelling.
        folded_special: like `special`, but recognised after the text is cleaned and lowercased.
        max_word: longest word in characters. A longer word is unknown as a whole.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32, padded with -1. Empty and blank texts are not
        readable.
    """

    kind = "wordpiece"
    settings = (
        "max_length", "long_text", "lowercase", "strip_accents", "split_chinese", "begin", "end", "unknown",
        "special", "folded_special", "max_word",
    )  # fmt: skip
    content_name = "vocabulary_sha256"

    def __init__(
        self,
        vocabulary: Sequence[str] | None = None,
        max_length: int = 256,
        long_text: str = "truncate",
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        begin: str = "[CLS]",
        end: str = "[SEP]",
        unknown: str = "[UNK]",
        special: Sequence[str] = SPECIAL,
        folded_special: Sequence[str] = (),
        max_word: int = MAX_WORD,
        **options: Any,
    ) -> None:
        super().__init__(max_length, long_text, **options)
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_chinese = split_chinese
        self.begin, self.end, self.unknown = begin, end, unknown
        self.special, self.folded_special = list(special), list(folded_special)
        self.max_word = max_word
        if vocabulary is not None:
            self._set_vocabulary(vocabulary)

    def _set_vocabulary(self, vocabulary: Sequence[str]) -> None:
        needed = (self.unknown, self.begin, self.end)
        missing = [token for token in needed if token not in vocabulary]
        if missing:
            raise ValueError(f"a vocabulary must hold {', '.join(needed)}. Received: none of {missing}")
        self.vocabulary = tuple(vocabulary)
        special, folded = (
            [token for token in tokens if token in vocabulary]
            for tokens in (self.special, self.folded_special)
        )
        self._words = Words(special, folded, self.lowercase, self.strip_accents, self.split_chinese)
        self._pieces = WordPieces(vocabulary, self._words.stand_ins, self.unknown, self.max_word)

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See the base class."""
        words = self._words(texts)
        if self.long_text == "truncate":
            # Every word is at least one token. One more word than fits shows whether there are more.
            words = words[:, : self.max_length - 1]
        return self._pieces(words)

    def marks(self) -> tuple[int, int]:
        """Returns the ids of `begin` and `end`."""
        return self.vocabulary.index(self.begin), self.vocabulary.index(self.end)

    def content(self) -> bytes:
        """Returns the vocabulary."""
        return "\n".join(self.vocabulary).encode()

    def save_assets(self, folder: str) -> None:
        """Writes the vocabulary, one piece per line."""
        Path(folder, _VOCABULARY).write_text(
            "\n".join(self.vocabulary) + "\n", encoding="utf-8", newline="\n"
        )

    def load_assets(self, folder: str) -> None:
        """Reads the vocabulary."""
        self._set_vocabulary(read_vocabulary(os.path.join(folder, _VOCABULARY)))


def read_vocabulary(path: str | os.PathLike[str]) -> list[str]:
    """Returns the pieces of a vocabulary file, one per line, in the order of their ids."""
    lines = Path(path).read_bytes().decode("utf-8").split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
