"""Training in bf16, which only GPUs do, tried on the CPU: what it computes in, and what it leaves behind."""

import contextlib

import keras
import numpy as np
import pytest
from small_networks import coloured, convolutional, values

from tfautolabel.backbones import Backbone
from tfautolabel.heads import build_head
from tfautolabel.training import (
    ContrastiveSettings,
    FineTuneSettings,
    contrastive_tune,
    fine_tune,
    moving_part,
)
from tfautolabel.training.mixed_precision import computed_in, gpus_have_bf16, heavy_layers


@pytest.fixture
def with_bf16(monkeypatch):
    monkeypatch.setattr(moving_part, "gpus_have_bf16", lambda: True)


def test_without_a_gpu_nothing_changes():
    assert not gpus_have_bf16()


def test_only_heavy_layers_are_lowered_and_only_for_a_time():
    network = convolutional().network
    heavy = heavy_layers(network)
    assert [layer.name for layer in heavy] == ["stem_conv", "block0_conv", "block1_conv"]
    with contextlib.suppress(InterruptedError), computed_in("mixed_bfloat16", heavy):
        assert {layer.compute_dtype for layer in heavy} == {"bfloat16"}
        assert {layer.variable_dtype for layer in heavy} == {"float32"}
        with computed_in("float32", heavy):
            assert {layer.compute_dtype for layer in heavy} == {"float32"}
        assert {layer.compute_dtype for layer in heavy} == {"bfloat16"}
        assert network.get_layer("stem_bn").compute_dtype == "float32"
        raise InterruptedError
    assert {layer.compute_dtype for layer in heavy} == {"float32"}


@pytest.mark.parametrize(
    ("tune", "settings"),
    [
        (fine_tune, FineTuneSettings(scope="last:2", epochs=2)),
        (contrastive_tune, ContrastiveSettings(scope="last:1", steps=2, batch_size=6)),
    ],
)
def test_a_training_leaves_float32_behind(with_bf16, monkeypatch, tmp_path, tune, settings):
    backbone, labelled = convolutional(), coloured()
    seen = set()
    real = keras.Model.fit

    def fit(model, *args, **options):
        seen.update(layer.compute_dtype for layer in heavy_layers(backbone.network))
        return real(model, *args, **options)

    monkeypatch.setattr(keras.Model, "fit", fit)
    before = values(backbone.network)
    tune(backbone, build_head("linear", 8, 3, seed=0), labelled, settings=settings)
    assert seen == {"bfloat16"}
    after = values(backbone.network)
    assert {value.dtype for value in after.values()} == {np.dtype("float32")}
    assert any(not np.array_equal(before[path], value) for path, value in after.items())
    backbone.save(tmp_path / "saved")
    loaded = Backbone.load(tmp_path / "saved").network
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_array_equal(loaded(pixels).numpy(), backbone.network(pixels).numpy())


def test_features_in_training_are_those_of_the_backbone(with_bf16):
    """What a head learns from, and is judged by, is not in bf16, also where a callback asks for it."""
    backbone, labelled = convolutional(), coloured()
    part = moving_part.MovingPart(
        backbone, labelled, labelled.class_ids, scope="last:2", statistics=False, augment=0.0, seed=0
    )
    rows = np.arange(len(labelled))
    with part, computed_in("mixed_bfloat16", heavy_layers(backbone.network)):
        inside = part.features(rows)
    right = backbone.network(backbone.prepare(labelled.read(rows)).inputs[0]).numpy()
    np.testing.assert_allclose(inside, right, atol=1e-5)
