"""Texts as counts of their words and pairs of neighbouring words, in buckets chosen by a hash.

Weinberger et al., "Feature hashing for large scale multitask learning" (ICML 2009, arXiv 0902.2206). There is
no vocabulary, so nothing has to be learnt from texts before a model can be exported.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfautolabel.backbones.networks.shapes import Shape
from tfautolabel.preprocessors.texts.preprocessor import TextPreprocessor
from tfautolabel.preprocessors.texts.words import Words

BUCKETS = 2048
MAX_LENGTH = 4096
"""The most words and pairs of words of a text, about two thousand words."""


@keras.saving.register_keras_serializable("tfautolabel")
class HashedWordsPreprocessor(TextPreprocessor):
    """Converts texts to the buckets of their words and pairs of words.

    Words are in lower case and without accents; each Chinese character and punctuation mark is one.

    Args:
        long_text: "truncate" to cut off texts of more words, "average" to cut them into windows.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        examples: (n,) string, UTF-8; invalid bytes count as U+FFFD.

    Returns:
        A `Preprocessed` with the one input (w, l) int32 in [0, 2048], padded with -1; 2048 is at both ends of
        a text. Empty and blank texts are not readable.
    """

    kind = "hashed words"
    settings = ("long_text",)

    def __init__(self, long_text: str = "truncate", **options: Any) -> None:
        super().__init__(MAX_LENGTH, long_text, **options)
        self._words = Words(())

    def tokens(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See the base class: each word, then the pair that it makes with the one before it.

        The first word makes a pair with the beginning of the text.
        """
        words = self._words(texts)
        is_first = tf.equal(tf.ragged.range(words.row_lengths()).values, 0)
        before = tf.where(is_first, "", tf.concat([words.values[:1], words.values[:-1]], axis=0))
        both = tf.stack([words.values, tf.strings.join([before, words.values], " ")], axis=1)
        buckets = tf.cast(tf.strings.to_hash_bucket_fast(tf.reshape(both, [-1]), BUCKETS), tf.int32)
        return tf.RaggedTensor.from_row_lengths(buckets, 2 * words.row_lengths(), validate=False)

    def marks(self) -> tuple[int, int]:
        """Returns a number behind the last bucket."""
        return BUCKETS, BUCKETS

    def content(self) -> bytes:
        """Returns what decides the buckets besides the settings."""
        return f"farmhash {BUCKETS} {MAX_LENGTH}".encode()


@keras.saving.register_keras_serializable("tfautolabel")
class BucketCounts(keras.layers.Layer):
    """Counts the buckets of each text, on a logarithmic scale and as a vector of length one.

    Call arguments:
        buckets: (w, l) int32; numbers outside of [0, 2048) do not count.

    Returns:
        (w, 2048) float32, not negative.
    """

    def call(self, buckets: tf.Tensor) -> tf.Tensor:
        """See the class."""
        number = tf.shape(buckets)[0]
        counted = (buckets >= 0) & (buckets < BUCKETS)
        places = tf.where(counted, buckets + BUCKETS * tf.range(number)[:, None], -1)
        ones = tf.ones_like(places, tf.float32)
        counts = tf.math.unsorted_segment_sum(
            tf.reshape(ones, [-1]), tf.reshape(places, [-1]), number * BUCKETS
        )
        return tf.math.l2_normalize(tf.math.log1p(tf.reshape(counts, [number, BUCKETS])), axis=1)

    def compute_output_shape(self, buckets_shape: Shape) -> Shape:
        """Returns (w, 2048)."""
        return (buckets_shape[0], BUCKETS)


def build_word_counts(long_text: str = "truncate") -> tuple[HashedWordsPreprocessor, keras.Model]:
    """Builds the tokenizer, and the network from buckets to unit vectors of 2048 numbers.

    Args:
        long_text: "truncate" or "average", what to do with texts of more than two thousand words.
    """
    buckets = keras.Input((None,), dtype="int32", name="buckets")
    network = keras.Model(buckets, BucketCounts(name="counts")(buckets), name="plain_words")
    return HashedWordsPreprocessor(long_text), network
