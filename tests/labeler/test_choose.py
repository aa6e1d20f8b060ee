from types import SimpleNamespace

import numpy as np
import pytest

import tfautolabel as tal
from tfautolabel.backbones.packaged import PackagedBackbone
from tfautolabel.labeler import choose, select_backbone
from tfautolabel.labeler.choose import tried_by_default


@pytest.fixture
def cached(monkeypatch):
    """The names whose weights are there, for a test to fill; every extra is installed."""
    names = set()
    monkeypatch.setattr(PackagedBackbone, "is_cached", lambda self: self.name in names)
    monkeypatch.setattr(choose, "is_installed", lambda _: True)
    return names


def names_of(*arguments):
    return [entry.name for entry in tried_by_default(*arguments)]


def test_small_weights_are_fetched_to_be_tried_for_sound_unless_offline(cached, monkeypatch):
    assert names_of("audio", 10_000, 1) == ["speech-embedding", "resemblyzer"]
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    assert names_of("audio", 10, 1000) == ["speech-embedding"]
    cached.add("resemblyzer")
    assert names_of("audio", 10, 1000) == ["speech-embedding", "resemblyzer"]


@pytest.mark.parametrize(
    ("modality", "own", "others"),
    [
        ("image", "efficientnet-lite0", ["efficientnet-lite2"]),
        ("text", "minilm-l6", ["use-multilingual-v3", "e5-small"]),
    ],
)
def test_pictures_and_texts_are_chosen_for_where_that_is_cheap(cached, modality, own, others):
    assert names_of(modality, 50, 10**6) == [own], "nothing is fetched that nobody asked for"
    cached.update(others)
    assert names_of(modality, 50, 10**6) == [own, *others]
    assert names_of(modality, 50, 162) == [own], "a short run is not made long"
    assert others[-1] not in names_of(modality, 10**6, 10**6), "every label costs"
    counts = [len(names_of(modality, 50, size)) for size in range(0, 40_000, 100)]
    assert counts == sorted(counts)


def test_what_is_not_installed_is_not_tried(cached, monkeypatch):
    cached.update({"use-multilingual-v3", "e5-small"})
    monkeypatch.setattr(choose, "is_installed", lambda extra: extra != "text")
    assert names_of("text", 50, 10**6) == ["minilm-l6"]


@pytest.fixture
def loaded(monkeypatch, cached):
    """Which backbones are loaded; their features tell classes apart for the second alone."""
    found = []

    def load(handle, **_):
        found.append(handle)
        return SimpleNamespace(handle=handle, modality="audio")

    def extract(examples, backbone, **_):
        good = backbone.handle.endswith("resemblyzer")
        noise = np.random.default_rng(0).normal(size=(len(examples), 4))
        features = (noise + (9 * examples.class_ids[:, None] if good else 0)).astype(np.float32)
        return SimpleNamespace(features=features, rows=np.arange(len(examples)))

    monkeypatch.setattr(choose, "load_backbone", load)
    monkeypatch.setattr(choose, "extract_features", extract)
    return found


def clips(n=20, classes=2):
    labels = [f"class {number % classes}" for number in range(n)]
    return tal.Dataset.from_inputs([b"RIFF"] * n, labels, modality="audio")


def test_sound_is_chosen_for_by_default_and_the_choice_is_said(loaded):
    said = []
    backbone, trials = select_backbone(None, clips(), pool_size=100, say=said.append)
    assert backbone.handle == "packaged:resemblyzer" == trials[0]["handle"]
    assert len(trials) == 2
    assert "backbone chosen on the labelled examples: packaged:resemblyzer" in said[0]
    assert "--backbone packaged:speech-embedding takes that one untried" in said[0]


def test_a_backbone_that_is_named_rules(loaded):
    backbone, trials = select_backbone("packaged:speech-embedding", clips(), pool_size=100)
    assert loaded == [backbone.handle] == ["packaged:speech-embedding"]
    assert trials is None


def test_without_two_classes_that_can_be_read_the_own_one_is_taken(loaded):
    backbone, trials = select_backbone(None, clips(classes=1))
    assert (backbone.handle, trials) == ("packaged:speech-embedding", None)


def test_a_backbone_for_other_data_is_refused_before_it_is_fetched(loaded):
    texts = tal.Dataset.from_inputs(["so it was", "na ja"], ["a", "b"])
    with pytest.raises(ValueError, match=r"one for text data.*efficientnet-lite0, which is for image data"):
        select_backbone("packaged:efficientnet-lite0", texts)
    with pytest.raises(ValueError, match=r"one for text data.*elsewhere, which is for audio data"):
        select_backbone("elsewhere", texts)
    assert loaded == ["elsewhere"]
