from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from clip_checkpoints import SENTENCES, write_clip

import tfautolabel as tal
from tfautolabel.backbones.huggingface.checkpoint import read_checkpoint
from tfautolabel.backbones.huggingface.clip import build_clip, build_clip_texts
from tfautolabel.labeler.descriptions import DescribedClasses

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip") / "clip")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "hugging_face_clip.npz") as found:
        return dict(found)


def test_pictures_equal_those_of_transformers(folder, golden):
    preprocessor, network = build_clip(read_checkpoint(folder))
    with np.load(GOLDEN / "hugging_face_vit.npz") as pixels:
        found = network(pixels["pixels_24"].astype("float32"))
    assert preprocessor.size == 24
    np.testing.assert_allclose(found, golden["pictures"], atol=2e-5)


def test_texts_and_their_tokens_equal_those_of_transformers(folder, golden):
    preprocessor, network = build_clip_texts(read_checkpoint(folder))
    (tokens,) = preprocessor(tf.constant([text.encode() for text in SENTENCES])).inputs
    assert tokens.numpy().tolist() == golden["ids"].tolist()
    np.testing.assert_allclose(network(tokens), golden["texts"], atol=2e-5)


def test_descriptions_label_pictures(folder, tmp_path):
    """The text tower places descriptions where pictures are; the export needs the other tower only."""
    backbone = tal.load_backbone(f"hf:{folder}")
    assert backbone.modality == "image"
    rng = np.random.default_rng(0)
    pool = tal.Dataset.from_inputs([png(rng) for _ in range(12)])
    texts = {"cat": "a photo of a cat", "dog": ["the dog", "a dog"]}
    labeler = tal.Labeler(backbone, ("cat", "dog"), descriptions=texts, progress=False, cache_dir=tmp_path)
    labeler.fit(None, pool=pool)
    tower = backbone.text_tower()
    assert (tower.modality, tower.feature_dim) == ("text", backbone.feature_dim)
    where = DescribedClasses.of({"cat": ["a photo of a cat"], "dog": ["the dog", "a dog"]}, backbone)
    np.testing.assert_allclose(np.linalg.norm(where.directions, axis=1), 1, atol=1e-5)
    assert not where.centre.any()
    exported = tal.load_exported(labeler.export(tmp_path / "model"))
    np.testing.assert_allclose(exported.label(pool).probabilities, labeler.predict(pool), atol=1e-4)


def test_a_saved_backbone_has_no_text_tower(folder, tmp_path):
    backbone = tal.load_backbone(f"hf:{folder}")
    backbone.save(tmp_path / "saved")
    assert tal.Backbone.load(tmp_path / "saved").fingerprint == backbone.fingerprint
    tower = backbone.text_tower()
    tower.save(tmp_path / "texts")
    assert tal.Backbone.load(tmp_path / "texts").fingerprint == tower.fingerprint


def png(rng):
    return tf.io.encode_png(rng.integers(0, 255, (24, 24, 3), np.uint8)).numpy()
