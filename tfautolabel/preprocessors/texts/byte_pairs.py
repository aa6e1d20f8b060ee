"""Byte pair encoding (Sennrich et al. 2016, arXiv 1508.07909) with TensorFlow's own operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

_NEVER = np.iinfo(np.int32).max
"""The rank of a pair that is never merged."""


class BytePairs(tf.Module):
    """Splits words into pieces. It merges the neighbours that rank first in a list, until no pair is listed.

    Args:
        vocabulary: each piece's id. Every single byte is a piece.
        merges: pairs of pieces, in the order of merging.
        whole_words: whether a word that is a piece is never split, even if merging would not produce it.
        special: ids of additional words, which are never split.
        ending: bytes that no word has, which end the pieces at the end of a word; by default there are no
            such pieces. They are distinct pieces then, from the single bytes on.

    Raises:
        ValueError: If a byte is not a piece, or a merge gives no piece.
    """

    def __init__(
        self,
        vocabulary: Mapping[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        whole_words: bool = False,
        special: Mapping[bytes, int] | None = None,
        ending: bytes = b"",
    ) -> None:
        super().__init__()
        singles = [bytes([byte]) + end for end in dict.fromkeys((b"", ending)) for byte in range(256)]
        missing = sum(piece not in vocabulary for piece in singles)
        if missing:
            raise ValueError(
                f"every byte must be a piece of a byte-level vocabulary. Received: {missing} missing"
            )
        try:
            triples = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in merges]
        except KeyError as error:
            raise ValueError(
                f"merges must join pieces to pieces of the vocabulary. Received: {error}, which is none"
            ) from error
        self._bytes = tf.constant([vocabulary[piece] for piece in singles[:256]], tf.int32)
        self._last_bytes = tf.constant([vocabulary[piece] for piece in singles[-256:]], tf.int32)
        self._stride = max(vocabulary.values()) + 1
        self._set_merges(triples)
        whole = {piece[: -len(ending)]: n for piece, n in vocabulary.items() if piece.endswith(ending)}
        named = whole if ending else vocabulary
        words, ids = list(named), list(named.values())
        if not whole_words:
            # A piece that merging cannot produce is never a result, although the vocabulary has it.
            with tf.init_scope():
                made = self._merge(tf.constant(words)).to_list()
            words, ids = (
                list(k)
                for k in zip(
                    *[(w, i) for w, i, m in zip(words, ids, made, strict=True) if m == [i]], strict=True
                )
            )
        extra = special or {}
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant([*words, *extra]), tf.constant([*ids, *extra.values()], tf.int32)
            ),
            -1,
        )

    def _set_merges(self, triples: list[tuple[int, int, int]]) -> None:
        ranks: dict[int, int] = {}
        first_use: dict[int, int] = {}
        for rank, (a, b, _) in enumerate(triples):
            # If a pair is listed twice, its last position is used.
            ranks[a * self._stride + b] = rank
        for key, rank in ranks.items():
            for part in divmod(key, self._stride):
                first_use[part] = min(first_use.get(part, _NEVER), rank)
        made = [merged for _, _, merged in triples]
        # If a pair's result is part of an earlier pair in the list, not all occurrences may be merged at
        # once. A merge with the first one's neighbours may come before the second one.
        alone = [first_use.get(merged, _NEVER) < rank for rank, merged in enumerate(made)]
        self._made = tf.constant([*made, -1], tf.int32)
        self._alone = tf.constant([*alone, False])
        # A table needs at least one entry. No pair has the key -1.
        keys = [*ranks, -1]
        self._ranks = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                tf.constant(keys, tf.int64), tf.constant([*ranks.values(), _NEVER], tf.int32)
            ),
            _NEVER,
        )

    def __call__(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        """Maps (n, ragged) non-empty strings to (n, ragged) int32.

        Most words are whole pieces, and words repeat in a batch. So only few are left for the loop.
        """
        distinct, place = tf.unique(words.values)
        whole = self._ids.lookup(distinct)
        rest = tf.where(whole < 0)[:, 0]
        pieces = self._merge(tf.gather(distinct, rest))
        # The whole words come after the split ones. `order` says where each distinct word is.
        known = tf.where(whole >= 0)[:, 0]
        both = tf.concat([pieces, tf.gather(whole, known)[:, None]], axis=0)
        order = tf.scatter_nd(
            tf.concat([rest, known], axis=0)[:, None],
            tf.range(tf.size(distinct, out_type=tf.int64)),
            tf.shape(distinct, tf.int64),
        )
        found = tf.gather(both, tf.gather(order, place))
        return words.with_values(found).merge_dims(1, 2)

    def _merge(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Maps (r,) string to (r, ragged) int32."""
        count = tf.size(words)
        split = tf.strings.bytes_split(words)
        found = tf.cast(tf.reshape(tf.io.decode_raw(split.values, tf.uint8), [-1]), tf.int32)
        rows = tf.cast(split.value_rowids(), tf.int32)
        is_last = tf.concat([rows[1:] != rows[:-1], tf.ones_like(rows[:1], tf.bool)], axis=0)
        ids = tf.where(is_last, tf.gather(self._last_bytes, found), tf.gather(self._bytes, found))

        def step(
            number: tf.Tensor, ids: tf.Tensor, rows: tf.Tensor, store: tf.TensorArray
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.TensorArray]:
            """Merges the first pair of every word. Words without a pair are finished."""
            keys = tf.cast(ids[:-1], tf.int64) * self._stride + tf.cast(ids[1:], tf.int64)
            ranks = self._ranks.lookup(tf.where(rows[:-1] == rows[1:], keys, -1))
            best = tf.math.unsorted_segment_min(ranks, rows[:-1], count)
            of_row = tf.gather(best, rows)
            going = of_row < _NEVER
            store = store.write(number, tf.boolean_mask(tf.stack([rows, ids], axis=1), ~going))
            is_first = tf.concat([(ranks == of_row[:-1]) & going[:-1], [False]], axis=0)
            is_first = self._without_overlaps(is_first, rows, of_row, count)
            swallowed = tf.concat([[False], is_first[:-1]], axis=0)
            made = tf.gather(self._made, tf.minimum(of_row, tf.size(self._made) - 1))
            left = going & ~swallowed
            ids = tf.boolean_mask(tf.where(is_first, made, ids), left)
            return number + 1, ids, tf.boolean_mask(rows, left), store

        store = tf.TensorArray(tf.int32, 1, dynamic_size=True, element_shape=[None, 2], infer_shape=False)
        # There is something to concatenate even without any word.
        store = store.write(0, tf.zeros([0, 2], tf.int32))
        _, _, _, store = tf.while_loop(
            lambda _number, ids, *_: tf.size(ids) > 0,
            step,
            (tf.constant(1), ids, rows, store),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None]),
                tf.TensorShape([None]),
                tf.TensorShape(None),
            ),
        )
        done = store.concat()
        done = tf.gather(done, tf.argsort(done[:, 0], stable=True))
        return tf.RaggedTensor.from_value_rowids(
            done[:, 1], tf.cast(done[:, 0], tf.int64), tf.cast(count, tf.int64)
        )

    def _without_overlaps(
        self, chosen: tf.Tensor, rows: tf.Tensor, of_row: tf.Tensor, count: tf.Tensor
    ) -> tf.Tensor:
        """Selects every second one of pairs that share a piece, and for some pairs only a word's leftmost."""
        place = tf.range(tf.size(rows))
        run = tf.cumsum(tf.cast(~chosen, tf.int32))
        # The pairs of a run follow one another, after the position where it begins.
        begins = tf.math.unsorted_segment_max(tf.where(chosen, -1, place), run, tf.size(rows) + 1)
        chosen &= (place - tf.gather(begins, run)) % 2 == 1
        leftmost = tf.math.unsorted_segment_min(tf.where(chosen, place, _NEVER), rows, count)
        alone = tf.gather(self._alone, tf.minimum(of_row, tf.size(self._alone) - 1))
        return chosen & (~alone | (place == tf.gather(leftmost, rows)))
