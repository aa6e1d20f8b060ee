"""Token ids cut to the length that a network takes: the beginning of a text, or all of it in windows."""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.contract import Preprocessed

LONG_TEXT = ("truncate", "average")
"""What is done to texts longer than the network takes."""

PADDING = -1
"""Stands behind a text's last token; no vocabulary has it."""


def check_long_text(long_text: str) -> None:
    """Refuses what is not one of `LONG_TEXT`.

    Raises:
        ValueError: If it is not.
    """
    if long_text not in LONG_TEXT:
        raise ValueError(
            f"long_text must be one of {', '.join(LONG_TEXT)}. Received: long_text={long_text!r}"
        )


def cut_tokens(
    ids: tf.RaggedTensor, readable: tf.Tensor, *, begin: int, end: int, max_length: int, long_text: str
) -> Preprocessed:
    """Cuts texts to length and puts the marks of beginning and end around each piece.

    Args:
        ids: (n, ragged) int32, without marks.
        readable: (n,) bool.
        begin: the id that begins a piece.
        end: the id that ends it.
        max_length: tokens in a piece, marks included.
        long_text: "truncate" or "average".

    Returns:
        The pieces as (w, l) int32, padded with `PADDING` to the longest of them.
    """
    inner = max_length - 2
    lengths = ids.row_lengths()
    shortened = lengths > inner
    if long_text == "truncate":
        pieces = ids[:, :inner]
        example = tf.range(tf.size(lengths, out_type=tf.int64))
    else:
        counts = tf.maximum((lengths + inner - 1) // inner, 1)
        example = tf.repeat(tf.range(tf.size(lengths, out_type=tf.int64)), counts)
        number = tf.range(tf.size(example, out_type=tf.int64)) - tf.gather(
            tf.cumsum(counts, exclusive=True), example
        )
        left = tf.gather(lengths, example) - number * inner
        pieces = tf.RaggedTensor.from_row_lengths(
            ids.values, tf.clip_by_value(left, 0, inner), validate=False
        )
        shortened = tf.zeros_like(shortened)
    mark = tf.ones([tf.size(example), 1], tf.int32)
    tokens = tf.concat([mark * begin, pieces, mark * end], axis=1).to_tensor(PADDING)
    return Preprocessed((tf.ensure_shape(tokens, [None, None]),), example, readable, shortened)
