"""A labeler that is told in words what its classes are."""

import numpy as np
import pytest
from hub_modules import make_text_module
from small_networks import convolutional

import tfautolabel as tal

CLASSES = ("bad", "good")
TEXTS = {"good": ["good great", "great great"], "bad": "bad poor"}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return tal.load_backbone(str(make_text_module(tmp_path_factory.mktemp("module") / "text")))


def reviews(count, start=0):
    words = {"good": ("good", "great"), "bad": ("bad", "poor")}
    for number in range(start, start + count):
        truth = CLASSES[number % 2]
        yield " ".join(words[truth][number // 2 >> bit & 1] for bit in range(6)), truth


@pytest.fixture(scope="module")
def pool():
    return tal.Dataset.from_inputs([text for text, _ in reviews(60)], modality="text")


@pytest.fixture(scope="module")
def fitted(backbone, pool, tmp_path_factory):
    labeler = tal.Labeler(
        backbone, CLASSES, descriptions=TEXTS, progress=False, cache_dir=tmp_path_factory.mktemp("cache")
    )
    labeler.fit(None, pool=pool)
    return labeler


def test_without_labels_it_labels_and_accepts_nothing(fitted, pool):
    labels = fitted.label(pool)
    assert (labels.predicted == [truth for _, truth in reviews(60)]).mean() > 0.9
    assert not labels.accepted.any()
    assert fitted.descriptions_["shares"] == {"descriptions": 1.0}
    assert fitted.descriptions == {"bad": ["bad poor"], "good": ["good great", "great great"]}


def test_the_export_needs_no_descriptions(fitted, pool, tmp_path):
    folder = fitted.export(tmp_path / "model")
    exported = tal.load_exported(folder)
    assert np.allclose(exported.label(pool).probabilities, fitted.predict(pool), atol=1e-5)


def test_saved_and_loaded_it_stays_what_it_was(fitted, pool, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path)
    assert loaded.descriptions == fitted.descriptions
    assert loaded.descriptions_ == fitted.descriptions_
    assert np.allclose(loaded.predict(pool), fitted.predict(pool), atol=1e-6)
    loaded.fit(None, pool=pool)
    assert np.allclose(loaded.predict(pool), fitted.predict(pool), atol=1e-4)


def test_with_labels_it_says_what_the_descriptions_were_worth(backbone, pool, tmp_path):
    texts, labels = zip(*reviews(24), strict=True)
    labelled = tal.Dataset.from_inputs(list(texts), list(labels), modality="text")
    labeler = tal.Labeler(backbone, CLASSES, descriptions=TEXTS, progress=False, cache_dir=tmp_path)
    labeler.fit(labelled, pool=pool)
    assert set(labeler.descriptions_["worth"]) == {"with", "without", "nats"}
    assert labeler.out_of_fold_.shape == (24, 2)
    labeler.fit(labelled)  # without a pool, the labelled examples take its place
    assert labeler.descriptions_["shares"].keys() == {"labels", "descriptions", "both"}


def test_what_does_not_go_together_is_refused(backbone, pool):
    with pytest.raises(ValueError, match="Received: none for bad"):
        tal.Labeler(backbone, CLASSES, descriptions={"good": "great", "other": "film"})
    labeler = tal.Labeler(backbone, CLASSES, descriptions=TEXTS, progress=False)
    with pytest.raises(ValueError, match="neither pool nor labels"):
        labeler.fit(None)
    with pytest.raises(ValueError, match="class weights do not go together"):
        labeler.fit(None, pool=pool, class_weight="balanced")
    mlp = tal.Labeler(backbone, CLASSES, "mlp", descriptions=TEXTS, progress=False)
    with pytest.raises(ValueError, match="descriptions teach the linear head"):
        mlp.fit(None, pool=pool)


def test_a_backbone_that_reads_no_text_is_refused(pool):
    labeler = tal.Labeler(convolutional(), CLASSES, descriptions=TEXTS, progress=False)
    with pytest.raises(ValueError, match="which is for image data and reads no text"):
        labeler.fit(None, pool=tal.Dataset.from_inputs([b"\xff\xd8\xff"], modality="image"))
