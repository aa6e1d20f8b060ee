"""Splits texts into the words that WordPiece models know: cleaned, lowercase, without accents."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

_CHINESE = (
    r"\x{4E00}-\x{9FFF}\x{3400}-\x{4DBF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2B73F}\x{2B740}-\x{2B81F}"
    r"\x{2B920}-\x{2CEAF}\x{F900}-\x{FAFF}\x{2F800}-\x{2FA1F}"
)
_PUNCTUATION = r"!-/:-@\[-`{-~\p{P}"
_PLAIN = r"[\t\n\r -~]*"
_STAND_INS = tuple(chr(0x1FFFE + 0x10000 * number) for number in range(15))
"""Code points that are never assigned to characters. Each one replaces a special token."""

_STRANGER = chr(0x10FFFE)
"""Replaces a stand-in that a text itself contains. No vocabulary has either of them."""


class Words(tf.Module):
    """Splits texts into words.

    Args:
        special: tokens to keep whole when a text contains their spelling, such as "[SEP]".
        folded_special: like `special`, but recognised after all other steps, just before the splitting.
        lowercase: whether to lowercase letters.
        strip_accents: whether to remove accents.
        split_chinese: whether each Chinese character is a word.

    Attributes:
        stand_ins: maps each special token to the word that replaces it.

    Raises:
        ValueError: If there are too many special tokens.
    """

    def __init__(
        self,
        special: Sequence[str],
        folded_special: Sequence[str] = (),
        lowercase: bool = True,
        strip_accents: bool = True,
        split_chinese: bool = True,
    ) -> None:
        super().__init__()
        special, self._exact = [*special, *folded_special], len(special)
        if len(special) > len(_STAND_INS):
            raise ValueError(
                f"a WordPiece tokenizer may have {len(_STAND_INS)} special tokens. Received: {special}"
            )
        self.stand_ins = dict(zip(special, _STAND_INS, strict=False))
        self._lowercase = lowercase
        self._alone = f"([{_PUNCTUATION}{_CHINESE if split_chinese else ''}])"
        codes, folded = folding_table(lowercase, strip_accents)
        self._folding = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(codes), tf.constant(folded)), -1
        )

    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Maps (n,) string to (n, ragged) string."""
        is_plain = tf.strings.regex_full_match(texts, _PLAIN)
        others = tf.where(~is_plain)[:, 0]
        texts = tf.cond(
            tf.size(others) > 0,
            lambda: tf.tensor_scatter_nd_update(
                texts, others[:, None], self._without_stand_ins(tf.gather(texts, others))
            ),
            lambda: texts,
        )
        # This comes before lowercasing, because only the exact spelling counts.
        for token, stand_in in list(self.stand_ins.items())[: self._exact]:
            texts = tf.strings.regex_replace(texts, rf"\Q{token}\E", f" {stand_in} ")
        texts = tf.cond(
            tf.size(others) > 0,
            lambda: tf.tensor_scatter_nd_update(
                texts, others[:, None], self._folded(tf.gather(texts, others))
            ),
            lambda: texts,
        )
        if self._lowercase:
            # Only ASCII is left to lowercase, which needs no tables.
            texts = tf.strings.lower(texts)
        for token, stand_in in list(self.stand_ins.items())[self._exact :]:
            spelled = token.lower() if self._lowercase else token
            texts = tf.strings.regex_replace(texts, rf"\Q{spelled}\E", f" {stand_in} ")
        return tf.strings.split(tf.strings.regex_replace(texts, self._alone, r" \1 "))

    def _without_stand_ins(self, texts: tf.Tensor) -> tf.Tensor:
        # Invalid UTF-8 is decoded as Python does with errors="replace", so the next steps see only
        # characters.
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        return tf.strings.regex_replace(texts, f"[{''.join(_STAND_INS)}]", _STRANGER)

    def _folded(self, texts: tf.Tensor) -> tf.Tensor:
        """Removes control characters, turns white space into plain spaces, and maps characters by table."""
        texts = tf.strings.regex_replace(texts, r"[\t\n\r\p{Z}]", " ")
        texts = tf.strings.regex_replace(texts, r"[\p{Cc}\p{Cf}\p{Co}\x{FFFD}]", "")
        points = tf.strings.unicode_decode(texts, "UTF-8")
        flat = tf.cast(points.values, tf.int64)
        packed = self._folding.lookup(flat)
        packed = tf.where(packed < 0, flat, packed)
        parts = tf.cast(
            tf.bitwise.right_shift(packed[:, None], tf.constant([0, 21, 42], tf.int64)) & 0x1FFFFF, tf.int32
        )
        counts = tf.reduce_sum(tf.cast(parts > 0, tf.int64), axis=1)
        ragged = points.with_values(tf.RaggedTensor.from_tensor(parts, lengths=counts)).merge_dims(1, 2)
        return tf.strings.unicode_encode(ragged, "UTF-8")


@functools.cache
def folding_table(lowercase: bool = True, strip_accents: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Returns what each code point becomes in lower case or without accents.

    Args:
        lowercase: whether to lowercase letters.
        strip_accents: whether to remove marks (category Mn) and split Hangul into jamo.

    Returns:
        (m,) int64, the code points that change, at least one; (m,) int64, up to three new code points of 21
        bits each, the first in the lowest bits.
    """
    # U+FFFD is removed before the lookup. It is only here so that the table is not empty.
    codes, folded = [0xFFFD], [0xFFFD]
    for character in _characters_that_may_change():
        bare = character
        if strip_accents:
            bare = _without_marks(unicodedata.normalize("NFD", bare))
        if lowercase:
            bare = bare.lower()
        if strip_accents:
            bare = _without_marks(bare)
        if bare != character and len(bare) <= 3:
            codes.append(ord(character))
            folded.append(sum(ord(part) << 21 * place for place, part in enumerate(bare)))
    return np.array(codes, np.int64), np.array(folded, np.int64)


def _characters_that_may_change() -> Iterator[str]:
    """Leaves out blocks in which none does: most of a million characters, and a second of each start."""
    for start in range(0x80, 0x110000, 0x80):
        if not 0xD800 <= start < 0xE000:
            block = "".join(map(chr, range(start, start + 0x80)))
            marks = "Mn" in map(unicodedata.category, block)
            if marks or not block.lower() == block == unicodedata.normalize("NFD", block):
                yield from block


def _without_marks(text: str) -> str:
    return "".join(part for part in text if unicodedata.category(part) != "Mn")
