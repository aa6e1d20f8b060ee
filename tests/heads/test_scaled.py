import keras
import numpy as np
import pytest
import tensorflow as tf
from unit_rows import unit

from tfautolabel.heads import LinearHead, ScaledLinearHead
from tfautolabel.heads.normalization import PowerNormalization
from tfautolabel.heads.scaled import SCALINGS, FeatureScaling


def features(signed=False, n=40, d=6):
    drawn = np.random.default_rng(0).gamma(2.0, size=(n, d)).astype(np.float32) * np.arange(1, d + 1)
    return (drawn - 3.0 if signed else drawn).astype(np.float32)


@pytest.mark.parametrize("kind", SCALINGS)
@pytest.mark.parametrize("signed", [False, True])
def test_rows_have_length_one_and_the_layer_comes_back_from_its_description(kind, signed):
    layer = FeatureScaling(kind, 6)
    layer.adapt(features(signed))
    scaled = np.asarray(layer(features(signed)))
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1.0, atol=1e-4)
    again = FeatureScaling.from_config(layer.get_config())
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(np.asarray(again(features(signed))), scaled)


@pytest.mark.parametrize("kind", SCALINGS)
def test_gradients_through_rows_of_zeros_are_numbers(kind):
    layer = FeatureScaling(kind, 6)
    rows = np.concatenate([features(), np.zeros((2, 6), np.float32)])
    layer.adapt(rows)
    with tf.GradientTape() as tape:
        given = tf.Variable(rows)
        scaled = layer(given)
    assert np.isfinite(scaled.numpy()).all()
    assert np.isfinite(tape.gradient(scaled, given).numpy()).all()


def test_power_is_what_heads_do_by_default():
    layer, default = FeatureScaling("power", 6), PowerNormalization()
    for one in (layer, default):
        one.adapt(features())
    np.testing.assert_allclose(np.asarray(layer(features())), np.asarray(default(features())))


def test_centred_is_simpleshots_cl2n_after_the_root():
    layer = FeatureScaling("centred", 6)
    layer.adapt(features())
    root = np.sqrt(features())
    expected = unit(root - root.mean(axis=0))
    np.testing.assert_allclose(np.asarray(layer(features())), expected, atol=1e-5)


def test_standard_does_not_depend_on_the_features_scales():
    signed = features(signed=True)
    scaled = []
    for factor in (1.0, np.array([1, 1.5, 2, 1, 1.2, 1], np.float32)):
        layer = FeatureScaling("standard", 6)
        layer.adapt(signed * factor)
        scaled.append(np.asarray(layer(signed * factor)))
    np.testing.assert_allclose(*scaled, atol=1e-4)


def test_a_feature_that_never_differs_is_not_blown_up():
    constant = features(signed=True)
    constant[:, 0] = 5.0
    layer = FeatureScaling("standard", 6)
    layer.adapt(constant)
    assert np.isfinite(np.asarray(layer(constant))).all()


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="power, length, centred, standard"):
        FeatureScaling("other", 6)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_scaled_linear_head_learns_and_is_saved(scaling, tmp_path):
    class_ids = np.arange(40) % 2
    learnt = features() + np.outer(class_ids, np.array([0, 0, 0, 9, 9, 0])).astype(np.float32)
    head = ScaledLinearHead(6, 2, scaling, Cs=(16.0,))
    head.compile()
    head.fit(learnt, class_ids)
    predicted = np.asarray(head(learnt))
    assert (predicted.argmax(axis=1) == class_ids).mean() > 0.8
    head.save(tmp_path / "head.keras")
    loaded = keras.saving.load_model(tmp_path / "head.keras")
    assert isinstance(loaded, ScaledLinearHead)
    np.testing.assert_allclose(np.asarray(loaded(learnt)), predicted, atol=1e-6)


def test_with_the_default_scaling_it_is_the_linear_head():
    class_ids = np.arange(40) % 2
    heads = [LinearHead(6, 2), ScaledLinearHead(6, 2, "power")]
    for head in heads:
        head.compile()
        head.fit(features(), class_ids)
    np.testing.assert_allclose(*(np.asarray(head(features())) for head in heads), atol=1e-6)
