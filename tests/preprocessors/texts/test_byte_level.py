"""Merging as Hugging Face's library does it, also with lists of merges that no training would give."""

import itertools

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.preprocessors.texts.byte_level import byte_alphabet
from tfautolabel.preprocessors.texts.byte_pairs import BytePairs

BYTES = {bytes([byte]): byte for byte in range(256)}


def merged(word, merges, numbers):
    """One pair at a time: the one that ranks first, of equal ones the leftmost."""
    parts = [bytes([byte]) for byte in word]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    while True:
        found = [
            (ranks[pair], place) for place, pair in enumerate(itertools.pairwise(parts)) if pair in ranks
        ]
        if not found:
            return [numbers[part] for part in parts]
        place = min(found)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


@st.composite
def vocabularies(draw):
    """Merges in any order of pieces that other merges make."""
    pieces, merges = [b"a", b"b", b"c"], []
    for _ in range(draw(st.integers(1, 12))):
        pair = draw(st.sampled_from(pieces)), draw(st.sampled_from(pieces))
        if pair not in merges and len(pair[0] + pair[1]) <= 6:
            merges.append(pair)
            pieces.append(pair[0] + pair[1])
    return draw(st.permutations(merges))


@settings(max_examples=100, deadline=None)
@given(vocabularies(), st.lists(st.text("abcd", min_size=1, max_size=14), min_size=1, max_size=8))
def test_merges_in_any_order(merges, words):
    numbers = dict(BYTES)
    for a, b in merges:
        numbers.setdefault(a + b, len(numbers))
    ours = BytePairs(numbers, merges)(tf.RaggedTensor.from_row_lengths(tf.constant(words), [len(words)]))
    assert ours.to_list()[0] == [part for word in words for part in merged(word.encode(), merges, numbers)]


def test_no_words():
    empty = tf.RaggedTensor.from_row_lengths(tf.constant([], tf.string), [0, 0])
    assert BytePairs(BYTES, [(b"a", b"b")][:0])(empty).to_list() == [[], []]


def test_words_that_are_pieces_may_stay_whole():
    numbers = {**BYTES, b"abc": 256}
    words = tf.ragged.constant([[b"abc"]])
    assert BytePairs(numbers, [])(words).to_list() == [[97, 98, 99]]
    assert BytePairs(numbers, [], whole_words=True)(words).to_list() == [[256]]


def test_vocabularies_that_are_none_are_refused():
    with pytest.raises(ValueError, match=r"every byte must be a piece.*Received: 1 missing"):
        BytePairs({piece: number for piece, number in BYTES.items() if piece != b"q"}, [])
    with pytest.raises(ValueError, match="merges must join pieces to pieces"):
        BytePairs(BYTES, [(b"a", b"b")])


def test_the_alphabet_is_that_of_the_original():
    tokenizers = pytest.importorskip("tokenizers")
    alphabet = byte_alphabet()
    assert sorted(alphabet.values()) == sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    for byte, character in ((0, "Ā"), (10, "Ċ"), (32, "Ġ"), (127, "ġ"), (0xAD, "Ń"), (0xC3, "Ã")):
        assert alphabet[byte] == character
