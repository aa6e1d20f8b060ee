"""Splits words into the longest pieces of a vocabulary, from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

MAX_WORD = 100
"""The longest word in characters, as in the original."""

_NONE = -1


class WordPieces(tf.Module):
    """Splits words into pieces.

    Args:
        vocabulary: the pieces in the order of their ids. Pieces inside a word begin with "##".
        special: maps each special token to the word that replaces it.
        unknown: the piece for a word that has a part without a piece.
        max_word: longest word in characters. A longer word is unknown as a whole.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        special: Mapping[str, str],
        unknown: str = "[UNK]",
        max_word: int = MAX_WORD,
    ) -> None:
        super().__init__()
        self._max_word = max_word
        self._unknown = vocabulary.index(unknown)
        self._longest = max(len(piece.removeprefix("##")) for piece in vocabulary)
        keys = [*vocabulary, *special.values()]
        ids = [*range(len(vocabulary)), *(vocabulary.index(token) for token in special)]
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(ids, tf.int32)), _NONE
        )

    def __call__(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Maps (n, ragged) string to (n, ragged) int32.

        Most words are in the vocabulary as a whole, and words repeat in a batch. So only few are left for the
        loop.
        """
        distinct, place = tf.unique(words.values)
        whole = self._ids.lookup(distinct)
        rest = tf.where(whole < 0)[:, 0]

        def with_rest() -> tf.Tensor:
            found = self._split(tf.gather(distinct, rest))
            padding = tf.fill([tf.size(whole), tf.shape(found)[1] - 1], _NONE)
            return tf.tensor_scatter_nd_update(
                tf.concat([whole[:, None], padding], axis=1), rest[:, None], found
            )

        pieces = tf.cond(tf.size(rest) > 0, with_rest, lambda: whole[:, None])
        pieces = tf.ensure_shape(pieces, [None, None])
        counts = tf.reduce_sum(tf.cast(pieces >= 0, tf.int64), axis=1)
        ragged = tf.RaggedTensor.from_tensor(tf.gather(pieces, place), lengths=tf.gather(counts, place))
        return words.with_values(ragged).merge_dims(1, 2)

    def _split(self, words: tf.Tensor) -> tf.Tensor:
        """Maps (r,) string to (r, p) int32, -1 after a word's last piece."""
        lengths = tf.strings.length(words, unit="UTF8_CHAR")

        def step(
            number: tf.Tensor, alive: tf.Tensor, start: tf.Tensor, failed: tf.Tensor, store: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
            """Finds the next piece of every unfinished word."""
            total = tf.gather(lengths, alive)
            sizes = tf.minimum(tf.range(self._longest, 0, -1)[None], (total - start)[:, None])
            begins = tf.broadcast_to(start[:, None], tf.shape(sizes))
            candidates = tf.strings.substr(tf.gather(words, alive)[:, None], begins, sizes, unit="UTF8_CHAR")
            candidates = tf.cond(number > 0, lambda: tf.strings.join(["##", candidates]), lambda: candidates)
            ids = self._ids.lookup(candidates)
            longest = tf.argmax(ids >= 0, axis=1, output_type=tf.int32)
            best = tf.gather(ids, longest, batch_dims=1)
            column = tf.tensor_scatter_nd_update(tf.fill(tf.shape(words), _NONE), alive[:, None], best)
            failed = tf.tensor_scatter_nd_update(failed, alive[:, None], best < 0)
            start += tf.gather(sizes, longest, batch_dims=1)
            going = (best >= 0) & (start < total)
            return (
                number + 1,
                tf.boolean_mask(alive, going),
                tf.boolean_mask(start, going),
                failed,
                store.write(number, column),
            )

        first = tf.where(lengths <= self._max_word)[:, 0]
        store = tf.TensorArray(tf.int32, 1, dynamic_size=True, element_shape=[None])
        # There is a column even if every word is too long.
        store = store.write(0, tf.fill(tf.shape(words), _NONE))
        _, _, _, failed, store = tf.while_loop(
            lambda _number, alive, *_: tf.size(alive) > 0,
            step,
            (tf.constant(0), first, tf.zeros_like(first, tf.int32), lengths > self._max_word, store),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape(None),
            ),
        )
        pieces = tf.transpose(store.stack())
        unknown = tf.one_hot(
            tf.zeros_like(lengths), tf.shape(pieces)[1], tf.constant(self._unknown), tf.constant(_NONE)
        )
        return tf.where(failed[:, None], unknown, pieces)
