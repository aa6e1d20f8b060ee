"""Cuts token ids to a network's length: to the beginning of a text, or to windows over all of it."""

from __future__ import annotations

import tensorflow as tf

from tfautolabel.preprocessors.contract import Preprocessed

LONG_TEXT = ("truncate", "average")
"""What to do with texts that are longer than the network takes."""

PADDING = -1
"""Fills the positions after a text's last token. No vocabulary has it."""


def check_long_text(long_text: str) -> None:
    """Raises an error for a value that is not in `LONG_TEXT`.

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
    """Cuts texts to length and adds the begin and end tokens to each piece.

    Args:
        ids: (n, ragged) int32, without begin and end.
        readable: (n,) bool.
        begin: the id at the beginning of a piece.
        end: the id at its end.
        max_length: the most tokens in a piece, begin and end included.
        long_text: "truncate" or "average".

    Returns:
        The pieces as (w, l) int32, padded with `PADDING` to the longest piece.
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
