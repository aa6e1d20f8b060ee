import keras
import keras_tuner
import numpy as np
import pytest

from tfautolabel.data.folds import stratified_folds
from tfautolabel.heads import LinearHead
from tfautolabel.heads.contract import check_head
from tfautolabel.training.feature_transfer import train_head, untrained_copy
from tfautolabel.tuning import HeadHyperModel
from tfautolabel.tuning.fold_training import predict_folds
from tfautolabel.tuning.hypermodel import WIDTHS


def build(n_examples=60, **values):
    model = HeadHyperModel(6, 3, n_examples)
    hp = keras_tuner.HyperParameters()
    hp.values.update(values)
    return model.build(hp), model.fit_options(hp), hp


def data(n=60, seed=0):
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % 3
    centres = np.random.default_rng(5).normal(size=(3, 6))
    return (centres[class_ids] + rng.normal(0, 0.4, (n, 6))).astype(np.float32), class_ids


def layers(head, kind):
    return [layer for layer in head.layers if isinstance(layer, kind)]


def test_the_space_is_what_the_docstring_says():
    _, _, hp = build()
    names = {parameter.name for parameter in hp.space}
    assert names == {
        "kind", "scaling", "C", "depth", "width", "dropout", "normalisation", "noise", "weight_decay",
        "learning_rate",
    }  # fmt: skip


def test_a_linear_head_has_its_penalty_and_no_options():
    head, options, _ = build(kind="linear", C=3.0, scaling="centred")
    assert isinstance(head, LinearHead)
    assert head.Cs == (3.0,)
    assert head.scaling == "centred"
    assert options == {}


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("normalisation", ["none", "layer", "batch"])
def test_a_network_has_the_parts_that_its_values_say(depth, normalisation):
    head, _, _ = build(
        kind="mlp", depth=depth, width=WIDTHS[0], dropout=0.2, normalisation=normalisation, noise=0.3,
        learning_rate=2e-3, weight_decay=0.5,
    )  # fmt: skip
    check_head(head, 6, 3)
    hidden = layers(head, keras.layers.Dense)[:-1]
    assert [layer.units for layer in hidden] == [WIDTHS[0]] * depth
    assert [layer.rate for layer in layers(head, keras.layers.Dropout)] == [0.2] * max(depth, 1)
    assert len(layers(head, keras.layers.LayerNormalization)) == depth * (normalisation == "layer")
    assert len(layers(head, keras.layers.BatchNormalization)) == depth * (normalisation == "batch")
    assert [layer.stddev for layer in layers(head, keras.layers.GaussianNoise)] == [0.3]
    assert float(head.optimizer.learning_rate) == pytest.approx(2e-3)
    assert head.optimizer.weight_decay == 0.5


def test_many_examples_are_seen_fewer_times():
    few, many = build(60, kind="mlp")[1], build(5000, kind="mlp")[1]
    assert few["epochs"] > many["epochs"]
    assert few["batch_size"] < many["batch_size"]


def test_hyperband_says_how_many_epochs():
    assert build(kind="mlp", **{"tuner/epochs": 7})[1]["epochs"] == 7


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="linear and mlp"):
        HeadHyperModel(6, 3, 60, kinds=("forest",))


def test_folds_are_trained_as_keras_trains_them():
    """The loop in one graph learns what `keras.Model.fit` learns, but for the order of the examples."""
    features, class_ids = data()
    head, _, _ = build(kind="mlp", depth=1, width=32, dropout=0.0, noise=0.0)
    options = {"epochs": 25, "batch_size": 12}
    by_keras = train_head(untrained_copy(head, features), features, class_ids, **options).out_of_fold
    folds = stratified_folds(class_ids, 5, 0)
    ours = predict_folds(untrained_copy(head, features), features, class_ids, folds, **options)
    np.testing.assert_allclose(ours.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(ours, by_keras, atol=0.1)
    assert abs(ours - by_keras).mean() < 0.02


def test_no_example_is_predicted_by_a_head_that_has_seen_it():
    """With labels drawn at random, what is held out cannot be guessed, however well it is learnt by heart."""
    features = np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)
    class_ids = np.random.default_rng(1).integers(3, size=90)
    head, _, _ = build(kind="mlp", depth=1, width=256, dropout=0.0, noise=0.0, learning_rate=1e-2)
    folds = stratified_folds(class_ids, 3, 0)
    predicted = predict_folds(head, features, class_ids, folds, epochs=60, batch_size=30)
    assert (predicted.argmax(axis=1) == class_ids).mean() < 0.55


def test_class_weights_count():
    _, class_ids = data()
    features = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    head, _, _ = build(kind="mlp", depth=0, dropout=0.0, learning_rate=1e-2)
    folds = stratified_folds(class_ids, 3, 0)
    plain, heavy = (
        predict_folds(
            untrained_copy(head, features), features, class_ids, folds, epochs=40, batch_size=20,
            class_weight=weight,
        )
        for weight in (None, {0: 20.0})
    )  # fmt: skip
    assert heavy[:, 0].mean() > plain[:, 0].mean() + 0.1
