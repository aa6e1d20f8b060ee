import numpy as np
import pytest
import tensorflow as tf
from clips import tones
from pictures import PICTURES

from tfautolabel.preprocessors import ImagePreprocessor
from tfautolabel.preprocessors.graphs import graph_of
from tfautolabel.preprocessors.sounds.wave import WavePreprocessor, wav_bytes
from tfautolabel.preprocessors.texts.wordpiece import WordPiecePreprocessor

EXAMPLES = {
    ImagePreprocessor: [PICTURES["jpeg"](), b"no picture", PICTURES["webp"]()],
    WavePreprocessor: [wav_bytes(tones(0.4)[:, 0], 16_000), b"no sound"],
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_equal_ones_share_a_graph_whatever_their_names(kind):
    assert graph_of(kind(24)) is graph_of(kind(24, name="another"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ImagePreprocessor(24), ImagePreprocessor(25)),
        (ImagePreprocessor(24), ImagePreprocessor(24, max_pixels=100)),
        (WavePreprocessor(16_000), WavePreprocessor(8_000)),
        (WavePreprocessor(16_000), WavePreprocessor(16_000, max_seconds=1)),
    ],
)
def test_every_setting_tells_them_apart(one, other):
    assert graph_of(one) is not graph_of(other)


def test_a_class_of_its_own_has_a_graph_of_its_own():
    class Darker(ImagePreprocessor):
        def call(self, examples):
            ready = super().call(examples)
            return ready._replace(inputs=(ready.inputs[0] / 2,))

    encoded = tf.constant([PICTURES["jpeg"]()])
    darker, usual = (graph_of(kind(24))(encoded).inputs[0] for kind in (Darker, ImagePreprocessor))
    np.testing.assert_allclose(darker, usual / 2)
    np.testing.assert_allclose(Darker(24)(encoded).inputs[0], usual / 2)


def test_what_needs_files_is_never_mixed_up():
    vocabularies = [
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words] for words in (["good", "day"], ["day", "good"])
    ]
    tokens = [
        graph_of(WordPiecePreprocessor(vocabulary))(tf.constant(["good day"])).inputs[0].numpy()
        for vocabulary in vocabularies
    ]
    assert tokens[0].tolist() == [[2, 4, 5, 3]]
    assert tokens[1].tolist() == [[2, 5, 4, 3]]


@pytest.mark.parametrize("kind", EXAMPLES)
def test_calls_outside_of_a_graph_share_it_and_give_the_same(kind):
    encoded = tf.constant(EXAMPLES[kind])
    preprocessor = kind(16_001 if kind is WavePreprocessor else 23)
    expected = tf.function(preprocessor.call, autograph=False)(encoded)
    graph = graph_of(preprocessor)
    for rows in (encoded, encoded, encoded[:1]):
        ready = preprocessor(rows)
        count = len(rows)
        assert ready.readable.numpy().tolist() == expected.readable.numpy().tolist()[:count]
        for found, wanted in zip(ready.inputs, expected.inputs, strict=True):
            np.testing.assert_array_equal(found[:1], wanted[:1])
    assert graph.experimental_get_tracing_count() == 1
    tf.config.run_functions_eagerly(True)
    try:
        alone = preprocessor(encoded)
    finally:
        tf.config.run_functions_eagerly(False)
    assert alone.readable.numpy().tolist() == expected.readable.numpy().tolist()
