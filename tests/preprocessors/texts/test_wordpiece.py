import os
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.preprocessors.texts.preprocessor import recorded_texts
from tfautolabel.preprocessors.texts.wordpiece import SPECIAL, WordPiecePreprocessor, read_vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789äßøđıл中日本あкеر한ᄒ"
PUNCTUATION = "!,.-'#[]()，。€"
VOCABULARY = [
    *SPECIAL,
    *LETTERS,
    *PUNCTUATION,
    *("##" + letter for letter in LETTERS),
    *("the", "parcel", "late", "torn", "##ing", "##ed", "un", "##able", "aff", "box", "##es", "a" * 99),
]
FUZZ = int(os.environ.get("TFAUTOLABEL_FUZZ", "200"))

HOSTILE = [
    "",
    " ",
    "The PARCEL was unaffable, boxes!",
    "Café naïve façade Zürich İSTANBUL ǅ",
    "cafe\u0301 n\u0303 a\u0300\u0301\u0302",
    "中文 and 日本あ한국 \u1112\u1161\u11ab",
    "a\x00b\x07c\u200bd\u200de\ufeff \u00a0x\u2028y\x85z\x1cw\x0bv",
    "a" * 99 + " " + "a" * 100 + " " + "a" * 101 + " " + "б" * 101,
    "🙂👍🏽 e\u20e3 \U0001f468\u200d\U0001f469",
    "[CLS] [sep] [SEP][MASK]x[PAD] [UNK]! x[CLS]y",
    "\ufffd \ue000 \U000f0000 \ud7ff",
    "\U0001fffe\U0002fffe\U0010fffe\uffff",
    "don't re-use #1 (50%) $5.00 €7 a_b a/b",
    "ﬁne Ⅷ ½ ＡＢＣ １２３ ß ẞ ſ K Å",
    "\u202eabc\u202c שָׁלוֹם عَرَبِيّ हिन्दी ไทย",
    "word " * 400,
]


@pytest.fixture(scope="module")
def ours():
    return WordPiecePreprocessor(VOCABULARY, max_length=64)


@pytest.fixture(scope="module")
def in_graph(ours):
    """The same as exports have it, made once: one by one, its operations take many times as long."""
    signature = [tf.TensorSpec([None], tf.string)]
    return tf.function(ours.call, input_signature=signature, autograph=False)


@pytest.fixture(scope="module")
def peer():
    tokenizers = pytest.importorskip("tokenizers")
    from tokenizers.implementations import BertWordPieceTokenizer

    made = BertWordPieceTokenizer(
        {token: number for number, token in enumerate(VOCABULARY)}, strip_accents=None, lowercase=True
    )
    assert isinstance(made._tokenizer, tokenizers.Tokenizer)
    made.add_special_tokens(list(SPECIAL))
    made.enable_truncation(64)
    return made


def ids_of(preprocessor, texts):
    (ids,), example, *_ = preprocessor(tf.constant(texts))
    rows = ids.numpy()
    assert example.numpy().tolist() == list(range(len(texts)))
    return [row[row >= 0].tolist() for row in rows]


def test_hostile_texts_are_tokenised_as_the_original_does(ours, in_graph, peer):
    found = ids_of(ours, [text.encode() for text in HOSTILE])
    for text, ids in zip(HOSTILE, found, strict=True):
        assert ids == peer.encode(text).ids, text
    assert ids_of(in_graph, [text.encode() for text in HOSTILE]) == found


def is_old(text):
    """Whether Python and the peer agree on the characters' kinds: both know Unicode 9."""
    return all(unicodedata.category(character) != "Cn" for character in text) and all(
        unicodedata.ucd_3_2_0.category(character) == unicodedata.category(character) for character in text
    )


texts = st.text(
    st.one_of(
        st.sampled_from(LETTERS + PUNCTUATION + " \t\u0301\u200b\u3000[]"),
        st.characters(codec="utf-8", max_codepoint=0xFFFF),
    ),
    max_size=40,
).filter(is_old)


@settings(max_examples=FUZZ, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20))
def test_any_text_is_tokenised_as_the_original_does(in_graph, peer, batch):
    for text, found in zip(batch, ids_of(in_graph, [text.encode() for text in batch]), strict=True):
        assert found == peer.encode(text).ids, ascii(text)


@settings(max_examples=FUZZ // 10, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=10, max_size=20))
def test_any_bytes_are_read_as_python_reads_them(in_graph, batch):
    as_text = [data.decode("utf-8", "replace").encode() for data in batch]
    assert ids_of(in_graph, batch) == ids_of(in_graph, as_text)
    ready = in_graph(tf.constant(batch))
    blank = [not tf.strings.strip(data).numpy() for data in batch]
    assert (~ready.readable.numpy()).tolist() == blank
    assert ready.inputs[0].numpy().max() < len(VOCABULARY)


def test_cut_texts_are_counted_and_windows_cover_all():
    cut = WordPiecePreprocessor(VOCABULARY, max_length=8)
    windows = WordPiecePreprocessor(VOCABULARY, max_length=8, long_text="average")
    lengths = [1, 5, 6, 7, 12, 13, 40]
    texts = [b" ".join([b"late", b"box"][k % 2] for k in range(length)) for length in lengths]
    ready = cut(tf.constant(texts))
    assert ready.shortened.numpy().tolist() == [length > 6 for length in lengths]
    assert ready.inputs[0].shape == (len(texts), 8)
    begin, end = VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")
    whole = windows(tf.constant(texts))
    assert not whole.shortened.numpy().any()
    for row, text in enumerate(texts):
        pieces = whole.inputs[0].numpy()[whole.example.numpy() == row]
        assert len(pieces) == -(-lengths[row] // 6)
        inner = []
        for piece in pieces:
            piece = piece[piece >= 0]
            assert (piece[0], piece[-1]) == (begin, end)
            inner += piece[1:-1].tolist()
        assert inner == [VOCABULARY.index(word) for word in text.decode().split()]


def test_a_saved_copy_is_the_same(ours, tmp_path):
    ours.save_assets(str(tmp_path))
    again = WordPiecePreprocessor.from_config(ours.get_config())
    again.load_assets(str(tmp_path))
    assert again.identity() == ours.identity()
    assert ids_of(again, recorded_texts()) == ids_of(ours, recorded_texts())
    assert again.identity() != WordPiecePreprocessor(VOCABULARY[:-1], max_length=64).identity()


def test_vocabulary_files(tmp_path):
    (tmp_path / "crlf.txt").write_bytes("[UNK]\r\nä\r\n\u2028\r\n".encode())
    assert read_vocabulary(tmp_path / "crlf.txt") == ["[UNK]", "ä", "\u2028"]
    with pytest.raises(ValueError, match=r"must hold \[UNK\], \[CLS\], \[SEP\].*\['\[CLS\]', '\[SEP\]'\]"):
        WordPiecePreprocessor(["[UNK]", "a"])
    with pytest.raises(ValueError, match="long_text must be one of truncate, average"):
        WordPiecePreprocessor(VOCABULARY, long_text="summarise")


def test_an_empty_batch_and_one_of_unreadable_texts(ours):
    ready = ours(tf.constant([b"", b" "]))
    assert not ready.readable.numpy().any()
    assert np.isin(ready.inputs[0].numpy(), [VOCABULARY.index("[CLS]"), VOCABULARY.index("[SEP]")]).all()
