"""Special tokens where a text spells them out: they are taken as they are, and what is between them is text.

The marks that stand for them are bytes that UTF-8 never has, so that no text holds them and no pattern
matches them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

SPACE = r"\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"
"""White space as Unicode has it, within brackets; \\s of TensorFlow's patterns is ASCII's."""

CUT = b"\xff"
"""Where a text is to be cut."""

_STAND_IN = b"\xfe"
_STAND_INS = tuple(_STAND_IN + bytes([byte]) for byte in range(0x80, 0xC0))
"""Each stands for one special token."""


class SpecialTokens(tf.Module):
    """Finds special tokens.

    Args:
        special: by their spelling {"id": …, "lstrip": …, "rstrip": …}; the last two, False by default, say
            whether white space before or behind one belongs to it.

    Attributes:
        stand_ins: the words that stand for the tokens, with their ids.

    Raises:
        ValueError: If there are too many.
    """

    def __init__(self, special: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        if len(special) > len(_STAND_INS):
            raise ValueError(f"there may be {len(_STAND_INS)} special tokens. Received: {len(special)}")
        # Of two that begin alike the longer one is meant, where it is there.
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
        """(n,) valid UTF-8 to (n,) string with the stand-ins between cuts."""
        for stand_in, pattern in self._patterns.items():
            texts = replaced(texts, pattern, CUT + stand_in + CUT)
        return texts

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """(n,) valid UTF-8 to (n, ragged) string: pieces of text, none empty, and stand-ins."""
        return at_cuts(self.marked(texts))

    def ids(self, parts: tf.Tensor) -> tf.Tensor:
        """(m,) string to (m,) int32, -1 for what is text."""
        return self._ids.lookup(parts)


def is_stand_in(parts: tf.Tensor) -> tf.Tensor:
    """(m,) string to (m,) bool."""
    return tf.strings.substr(parts, 0, 1) == tf.constant(_STAND_IN)


def at_cuts(texts: tf.Tensor) -> tf.RaggedTensor:
    """(n,) string to (n, ragged) string, what stands between cuts if it is not empty."""
    parts = tf.strings.split(texts, CUT)
    return tf.ragged.boolean_mask(parts, parts.with_values(tf.strings.length(parts.values) > 0))


def replaced(texts: tf.Tensor, pattern: str, rewrite: bytes) -> tf.Tensor:
    """Replaces all that a pattern matches."""
    # As tensors: as an attribute of the graph the rewrite would have to be UTF-8.
    return tf.strings.regex_replace(texts, tf.constant(pattern), tf.constant(rewrite))


def _pattern(token: str, rule: Mapping[str, Any]) -> str:
    left, right = (f"[{SPACE}]*" if rule.get(side) else "" for side in ("lstrip", "rstrip"))
    return rf"{left}\Q{token}\E{right}"
