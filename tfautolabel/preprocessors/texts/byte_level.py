r"""The tokenizer of GPT-2 (Radford et al. 2019) and RoBERTa with TensorFlow's own operations.

It gives the same tokens as Hugging Face's tokenizers for byte-level BPE. It splits the text by GPT-2's
pattern

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

with two replacements, because TensorFlow's patterns have no lookahead.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfautolabel.preprocessors.texts.byte_pairs import BytePairs
from tfautolabel.preprocessors.texts.preprocessor import TextPreprocessor
from tfautolabel.preprocessors.texts.spelled_out import (
    CUT,
    SPACE,
    SpecialTokens,
    at_cuts,
    is_stand_in,
    replaced,
)

_LAST_SPACE = rf"([{SPACE}]+)([{SPACE}][^{SPACE}])"
_WORD = rf"('s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+| ?[^{SPACE}\p{{L}}\p{{N}}]+|[{SPACE}]+)"

_MODEL = "byte_pairs.json"

_END = b"\xff\xff"
"""Stands for the end of a word; no UTF-8 has it."""


@keras.saving.register_keras_serializable("tfautolabel")
class ByteLevelPreprocessor(TextPreprocessor):
    """Converts texts to token ids.

    Args:
        vocabulary: each piece's id. The pieces are in the printable alphabet of `byte_alphabet`. None if
            `load_assets` will load it together with the merges.
        merges: pairs of pieces in that alphabet, in the order of merging.
        begin: the id at the beginning of a text.
        end: the id at its end.
        special: tokens to recognise when a text contains their spelling, see `SpecialTokens`.
        prefix_space: whether to add a space before each text that does not begin with one.
        whole_words: whether a word that is a piece is never split.
        max_length: the most tokens that the network takes, begin and end included.
        long_text: "truncate" to cut off longer texts, "average" to cut them into windows.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32, padded with -1. Empty and blank texts are not
        readable.

    Raises:
        ValueError: If the vocabulary is not byte-level or there are too many special tokens.
    """

    kind = "byte_level"
    ending: ClassVar[str] = ""
    """The end of pieces that are only at the end of a word; empty if there are none."""
    settings = ("begin", "end", "special", "prefix_space", "whole_words", "max_length", "long_text")

    def __init__(
        self,
        vocabulary: Mapping[str, int] | None = None,
        merges: Sequence[Sequence[str]] = (),
        *,
        begin: int,
        end: int,
        special: Mapping[str, Mapping[str, Any]],
        prefix_space: bool = False,
        whole_words: bool = False,
        max_length: int = 512,
        long_text: str = "truncate",
        **options: Any,
    ) -> None:
        super().__init__(max_length, long_text, **options)
        self.begin, self.end = begin, end
        self.special = {token: dict(rule) for token, rule in special.items()}
        self._spelled_out = SpecialTokens(self.special)
        self.prefix_space, self.whole_words = prefix_space, whole_words
        if vocabulary is not None:
            self._set_vocabulary(vocabulary, merges)

    def _set_vocabulary(self, vocabulary: Mapping[str, int], merges: Sequence[Sequence[str]]) -> None:
        self._content = json.dumps(
            {"vocabulary": dict(vocabulary), "merges": [list(pair) for pair in merges]}
        )
        back = {character: byte for byte, character in byte_alphabet().items()}

        def as_bytes(piece: str) -> bytes:
            bare = piece.removesuffix(self.ending) if self.ending else piece
            return bytes(back[character] for character in bare) + (_END if bare != piece else b"")

        # Special tokens use characters outside the alphabet, so no text can produce them.
        pieces = {
            as_bytes(piece): number
            for piece, number in vocabulary.items()
            if piece not in self.special and all(character in back for character in piece)
        }
        pieces.pop(b"", None)
        pairs = [(as_bytes(a), as_bytes(b)) for a, b in merges]
        self._pairs = BytePairs(
            pieces, pairs, self.whole_words, self._spelled_out.stand_ins,
            _END if self.ending else b"",
        )  # fmt: skip

    def _words(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Maps (n,) string to (n, ragged) string, with stand-ins for special tokens."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        if not self.prefix_space:
            return at_cuts(_cut(self._spelled_out.marked(texts)))
        parts = self._spelled_out.split(texts)
        flat = parts.values
        bare = (tf.strings.substr(flat, 0, 1) != " ") & ~is_stand_in(flat)
        words = at_cuts(_cut(tf.where(bare, tf.strings.join([" ", flat]), flat)))
        return parts.with_values(words).merge_dims(1, 2)

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See the base class."""
        words = self._words(texts)
        if self.long_text == "truncate":
            # Every word is at least one token. One more word than fits shows whether there are more.
            words = words[:, : self.max_length - 1]
        return self._pairs(words)

    def marks(self) -> tuple[int, int]:
        """Returns `begin` and `end`."""
        return self.begin, self.end

    def content(self) -> bytes:
        """Returns vocabulary and merges."""
        return self._content.encode()

    def save_assets(self, folder: str) -> None:
        """Writes vocabulary and merges."""
        Path(folder, _MODEL).write_text(self._content, encoding="utf-8")

    def load_assets(self, folder: str) -> None:
        """Reads vocabulary and merges."""
        self._set_vocabulary(**json.loads(Path(folder, _MODEL).read_text(encoding="utf-8")))


def byte_alphabet() -> dict[int, str]:
    """Returns the printable character for each byte in the files of byte-level tokenizers.

    Printable characters of Latin-1 stand for themselves. The other bytes become the characters from U+0100
    on.

    Examples:
        >>> alphabet = byte_alphabet()
        >>> alphabet[ord("a")], alphabet[ord(" ")]
        ('a', 'Ġ')
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + n) for n, byte in enumerate(others)}


def _cut(texts: tf.Tensor) -> tf.Tensor:
    """Returns the texts with a cut mark after every word."""
    # The last of several spaces belongs to the word after it.
    texts = replaced(texts, _LAST_SPACE, rb"\1" + CUT + rb"\2")
    return replaced(texts, _WORD, rb"\1" + CUT)
