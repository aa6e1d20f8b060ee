"""The packaged text backbones against what the original implementations give."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfautolabel as tal

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = ["minilm-l6", "use-multilingual-v3", "e5-small"]


@pytest.fixture(scope="module", params=NAMES)
def backbone(request):
    return tal.load_backbone(f"packaged:{request.param}")


def golden(backbone):
    name = backbone.handle.removeprefix("packaged:").replace("-", "_")
    with np.load(GOLDEN / f"{name}.npz") as values:
        return dict(values)


def features(backbone, texts, **options):
    dataset = tal.Dataset.from_inputs(list(texts))
    return tal.extract_features(dataset, backbone, use_cache=False, progress=False, **options)


def cosines(a, b):
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.packaged
def test_token_ids_are_the_originals(backbone):
    expected = golden(backbone)
    texts = [text.encode() for text in expected["sentences"].tolist()]
    found = backbone.preprocessor(tf.constant(texts)).inputs[0].numpy()
    odd = {"use-multilingual-v3": ["emoji 😀👍 and ❤️"]}.get(backbone.handle.partition(":")[2], [])
    for row, text in enumerate(expected["sentences"].tolist()):
        if not text.strip() or text in odd:
            continue  # blank texts are set aside; a run of unknown characters is one token in SentencePiece
        length = expected["lengths"][row]
        assert found[row][found[row] >= 0].tolist() == expected["ids"][row, :length].tolist(), text


@pytest.mark.packaged
def test_features_are_the_originals(backbone):
    expected = golden(backbone)
    rows = [row for row, text in enumerate(expected["sentences"].tolist()) if text.strip()]
    extraction = features(backbone, expected["sentences"][rows].tolist(), batch_size=7)
    assert extraction.rows.tolist() == list(range(len(rows)))
    found, wanted = extraction.features, expected["embeddings"][rows]
    if backbone.handle == "packaged:minilm-l6":
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        np.testing.assert_allclose(found, wanted, atol=1e-4)
        assert extraction.shortened == (expected["untruncated_lengths"] > 256).sum()
    assert np.sort(cosines(found, wanted))[1] >= 0.999
    assert cosines(found, wanted).min() >= 0.995


@pytest.mark.packaged
def test_blank_texts_are_set_aside_and_hostile_ones_are_not(backbone):
    texts = [
        "",
        " \t\n",
        "\u00a0",
        "x",
        "🙂" * 300,
        "\u202e\u0000\ufffe a",
        "a" * 5000,
        "[CLS] [SEP] <s>",
        "́",
    ]
    extraction = features(backbone, texts)
    assert {unreadable.id for unreadable in extraction.unreadable} >= {"0", "1"}
    assert set(extraction.rows.tolist()) >= {3, 4, 5, 6, 7}
    assert np.isfinite(extraction.features).all()


@pytest.mark.packaged
@pytest.mark.parametrize("backbone", ["minilm-l6", "use-multilingual-v3"], indirect=True)
def test_long_texts_are_averaged_over_windows(backbone):
    """Windows of e5's tokenizer are those of XLM-RoBERTa's among the checkpoints."""
    name = backbone.handle
    whole = tal.load_backbone(name, long_text="average")
    assert whole.fingerprint != backbone.fingerprint
    begin, end = "The parcel was late again. " * 50, "Wonderful music and a very good dinner. " * 50
    cut, averaged = (features(one, [begin, begin + end]) for one in (backbone, whole))
    assert (cut.shortened, averaged.shortened) == (2, 0)
    np.testing.assert_allclose(cut.features[0], cut.features[1], atol=1e-5)
    assert cosines(averaged.features[:1], averaged.features[1:])[0] < 0.95
    short = ["short enough"]
    np.testing.assert_allclose(features(backbone, short).features, features(whole, short).features, atol=1e-6)
