from types import SimpleNamespace

import numpy as np
import pytest

import tfautolabel as tal
from tfautolabel.backbones.packaged import PackagedBackbone
from tfautolabel.labeler import candidate_features, choose, select_backbone
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
    """Which backbones are loaded; `gaps` says how far apart their features put the classes."""
    found = SimpleNamespace(handles=[], gaps={"packaged:resemblyzer": 9.0}, unreadable={})

    def load(handle, **_):
        found.handles.append(handle)
        return SimpleNamespace(handle=handle, modality="audio")

    def extract(examples, backbone, **_):
        noise = np.random.default_rng(0).normal(size=(len(examples), 4))
        gap = found.gaps.get(backbone.handle, 0.0)
        features = (noise + gap * (examples.class_ids - 0.5)[:, None]).astype(np.float32)
        rows = np.setdiff1d(np.arange(len(examples)), found.unreadable.get(backbone.handle, []))
        return SimpleNamespace(features=features[rows], rows=rows, computed=len(rows))

    for module in (choose, candidate_features):
        monkeypatch.setattr(module, "load_backbone", load)
    monkeypatch.setattr(candidate_features, "is_installed", lambda _: True)
    monkeypatch.setattr(candidate_features, "extract_features", extract)
    return found


def clips(n=20, classes=2):
    labels = [f"class {number % classes}" for number in range(n)]
    return tal.Dataset.from_inputs([b"RIFF"] * n, labels, modality="audio")


def test_sound_is_chosen_for_by_default_and_the_choice_is_said(loaded):
    said = []
    backbone, trials = select_backbone(None, clips(), pool_size=100, say=said.append)
    assert backbone.handle == "packaged:resemblyzer" == trials[0]["handle"]
    assert [trial["handle"] for trial in trials[1:]] == ["packaged:speech-embedding", "plain:spectrum"]
    (sentence,) = said
    assert "backbone chosen on the labelled examples: packaged:resemblyzer" in sentence
    assert "packaged:resemblyzer 100.0%; packaged:speech-embedding" in sentence
    assert "--backbone packaged:speech-embedding takes that one untried" in sentence


def test_auto_takes_what_does_better_without_transfer_and_warns(loaded):
    loaded.gaps = {"packaged:resemblyzer": 1.0, "plain:spectrum": 9.0}
    said = []
    backbone, trials = select_backbone("auto", clips(), say=said.append)
    assert backbone.handle == "plain:spectrum" == trials[0]["handle"]
    assert "your labels do better without transfer: plain:spectrum 100.0% against packaged:" in said[1]
    assert f"--backbone {trials[1]['handle']} takes the pretrained one" in said[1]


def test_it_is_only_offered_to_those_who_did_not_ask_for_a_choice(loaded):
    loaded.gaps = {"packaged:resemblyzer": 1.0, "plain:spectrum": 9.0}
    said = []
    backbone, trials = select_backbone(None, clips(), say=said.append)
    assert backbone.handle == trials[0]["handle"] != "plain:spectrum" == trials[-1]["handle"]
    assert "your labels do better without transfer" in said[1]
    assert said[1].endswith("--backbone plain:spectrum takes that one")


def test_it_is_only_offered_where_a_backbone_is_to_be_tuned(loaded):
    loaded.gaps = {"packaged:resemblyzer": 1.0, "plain:spectrum": 9.0}
    said = []
    backbone, _ = select_backbone("auto", clips(), take_plain=False, say=said.append)
    assert backbone.handle.startswith("packaged:")
    assert said[1].endswith("--backbone plain:spectrum takes that one")


def test_candidates_are_compared_on_what_each_of_them_reads(loaded, monkeypatch):
    loaded.unreadable = {"packaged:speech-embedding": [0, 1, 2], "plain:spectrum": [4]}
    seen, rank = [], choose.rank_sources
    monkeypatch.setattr(
        choose, "rank_sources", lambda *given, **more: seen.extend(given) or rank(*given, **more)
    )
    select_backbone("auto", clips())
    features, class_ids = seen
    rows = [3, *range(5, 20)]
    assert class_ids.tolist() == clips().class_ids[rows].tolist()
    noise = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)[rows]
    assert np.array_equal(features["plain:spectrum"], noise)
    assert np.array_equal(features["packaged:speech-embedding"], noise)


def test_a_backbone_that_cannot_be_loaded_is_left_out_and_said(loaded, monkeypatch):
    load = candidate_features.load_backbone

    def broken(handle, **options):
        if handle == "packaged:resemblyzer":
            raise RuntimeError("no network")
        return load(handle, **options)

    monkeypatch.setattr(candidate_features, "load_backbone", broken)
    said = []
    _, trials = select_backbone("auto", clips(), say=said.append)
    assert said[0] == "packaged:resemblyzer was not tried: no network"
    assert len(trials) == 2
    monkeypatch.setattr(
        candidate_features, "load_backbone", lambda handle, **_: broken("packaged:resemblyzer")
    )
    with pytest.raises(
        ValueError, match=r"backbone='auto' needs .*Received: no such backbone, and 20 examples"
    ):
        select_backbone("auto", clips())


def test_a_backbone_that_is_named_rules(loaded):
    backbone, trials = select_backbone("packaged:speech-embedding", clips(), pool_size=100)
    assert loaded.handles == [backbone.handle] == ["packaged:speech-embedding"]
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
    assert loaded.handles == ["elsewhere"]
