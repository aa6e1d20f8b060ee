"""Finds special tokens that a text contains, and keeps them whole.

Bytes that never occur in UTF-8 replace them. So no text contains these bytes and no pattern matches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

SPACE = r"\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
"""Unicode's white space, for use within brackets; \\s of TensorFlow's patterns is only ASCII's."""

CUT = b"\xff"
"""Marks where to cut a text."""

_STAND_IN = b"\xfe"
_STAND_INS = tuple(_STAND_IN + bytes([byte]) for byte in range(0x80, 0xC0))
"""Each replaces one special token."""


class SpecialTokens(tf.Module):
    """Finds special tokens.

    Args:
        special: {"id": …, "lstrip": …, "rstrip": …} by spelling. The last two, False by default, say whether
            white space before or after a token belongs to it.

    Attributes:
        stand_ins: the words that replace the tokens, with their ids.

    Raises:
        ValueError: If there are too many special tokens.
    """

    def __init__(self, special: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        if len(special) > len(_STAND_INS):
            raise ValueError(f"there may be {len(_STAND_INS)} special tokens. Received: {len(special)}")
        # If two tokens begin alike, the longer one is tried first.
        ordered = sorted(special, key=len, reverse=True)
        self._patterns = {
            stand_in: _pattern(token, special[token])
            for token, stand_in in zip(ordered, _STAND_INS, strict=False)
        }
        self.stand_ins = {
            stand_in: int(special[token]["id"]) for token, stand_in in zip(ordered, _STAND_INS, strict=False)
        }
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*self.stand_ins, b""]), tf.constant([*self.stand_ins.values(), -1], tf.int32)
            ),
            -1,
        )

    def marked(self, texts: tf.Tensor) -> tf.Tensor:
        """Maps (n,) valid UTF-8 to (n,) string, with the stand-ins between cuts."""
        for stand_in, pattern in self._patterns.items():
            texts = replaced(texts, pattern, CUT + stand_in + CUT)
        return texts

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Maps (n,) valid UTF-8 to (n, ragged) string: non-empty pieces of text, and stand-ins."""
        return at_cuts(self.marked(texts))

    def ids(self, parts: tf.Tensor) -> tf.Tensor:
        """Maps (m,) string to (m,) int32 ids, -1 for text."""
        return self._ids.lookup(parts)


def is_stand_in(parts: tf.Tensor) -> tf.Tensor:
    """Returns which of (m,) strings are stand-ins, (m,) bool."""
    return tf.strings.substr(parts, 0, 1) == tf.constant(_STAND_IN)


def at_cuts(texts: tf.Tensor) -> tf.RaggedTensor:
    """Splits (n,) string at the cuts into the non-empty parts, (n, ragged) string."""
    parts = tf.strings.split(texts, CUT)
    return tf.ragged.boolean_mask(parts, parts.with_values(tf.strings.length(parts.values) > 0))


def replaced(texts: tf.Tensor, pattern: str, rewrite: bytes) -> tf.Tensor:
    """Replaces all matches of a pattern."""
    # Tensors are used because a rewrite in a graph attribute must be UTF-8.
    return tf.strings.regex_replace(texts, tf.constant(pattern), tf.constant(rewrite))


def _pattern(token: str, rule: Mapping[str, Any]) -> str:
    left, right = (f"[{SPACE}]*" if rule.get(side) else "" for side in ("lstrip", "rstrip"))
    return rf"{left}\Q{token}\E{right}"
