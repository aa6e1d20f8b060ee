import keras
import numpy as np
import pytest

from tfautolabel.heads import LinearHead


def activations(n=60, d=20, k=3, seed=0, spread=0.4):
    """Features that are never negative, as after a ReLU, and their classes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).gamma(0.5, size=(k, d))
    class_ids = np.arange(n) % k
    return np.abs(centres[class_ids] + rng.normal(0, spread, (n, d))).astype(np.float32), class_ids


def compiled(**options):
    head = LinearHead(20, 3, **options)
    head.compile()
    return head


def test_compile_fit_predict_evaluate():
    head = compiled()
    features, class_ids = activations()
    history = head.fit(features, class_ids)
    assert isinstance(history, keras.callbacks.History)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == [0]
    assert head.history is history
    probabilities = head.predict(features, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    loss, accuracy = head.evaluate(features, class_ids, verbose=0)
    assert loss == pytest.approx(history.history["loss"][0], rel=1e-4)
    assert accuracy == pytest.approx(history.history["accuracy"][0])
    others, other_ids = activations(300, seed=1)
    assert head.evaluate(others, other_ids, verbose=0, return_dict=True)["accuracy"] > 0.9


def test_history_of_the_folds_is_that_of_out_of_fold():
    head = compiled()
    features, class_ids = activations(spread=1.5)
    history = head.fit(features, class_ids).history
    assert head.out_of_fold_.shape == (60, 3)
    assert history["val_accuracy"][0] == np.mean(head.out_of_fold_.argmax(1) == class_ids)
    assert history["val_loss"][0] > history["loss"][0]
    assert head.C_ in head.Cs


def test_same_data_and_seed_give_the_same_head():
    features, class_ids = activations(spread=1.5)
    heads = [compiled(seed=seed) for seed in (0, 0, 1)]
    for head in heads:
        head.fit(features, class_ids)
    np.testing.assert_array_equal(heads[0].dense.kernel, heads[1].dense.kernel)
    np.testing.assert_array_equal(heads[0].out_of_fold_, heads[1].out_of_fold_)
    assert not np.array_equal(heads[0].out_of_fold_, heads[2].out_of_fold_)


def test_fit_again_starts_anew():
    features, class_ids = activations()
    once, twice = compiled(), compiled()
    once.fit(features, class_ids)
    twice.fit(-features, class_ids)
    twice.fit(features, class_ids)
    np.testing.assert_array_equal(once.predict(features, verbose=0), twice.predict(features, verbose=0))


def test_normalization_follows_the_features():
    features, class_ids = activations()
    for shown, power in ((features, 0.5), (features - features.mean(), 1.0)):
        head = compiled()
        head.fit(shown, class_ids)
        assert float(head.normalization.power) == power


def test_scale_of_the_features_does_not_matter():
    head = compiled()
    features, class_ids = activations()
    head.fit(features, class_ids)
    np.testing.assert_allclose(
        head.predict(features * 50, verbose=0), head.predict(features, verbose=0), atol=1e-3
    )


def test_row_of_zeros_is_finite():
    head = compiled()
    head.fit(*activations())
    assert np.isfinite(head.predict(np.zeros((1, 20)), verbose=0)).all()


def test_class_weight_equals_sample_weight():
    features, class_ids = activations(spread=1.5)
    by_class, by_sample, plain = compiled(), compiled(), compiled()
    by_class.fit(features, class_ids, class_weight={0: 5.0, 2: 0.5})
    by_sample.fit(features, class_ids, sample_weight=np.array([5.0, 1.0, 0.5])[class_ids])
    plain.fit(features, class_ids)
    np.testing.assert_array_equal(by_class.dense.kernel, by_sample.dense.kernel)
    predicted = [head.predict(features, verbose=0)[:, 0].mean() for head in (by_class, plain)]
    assert predicted[0] > predicted[1] + 0.02


def test_weights_received_are_not_changed():
    features, class_ids = activations()
    weight = np.ones(60, np.float32)
    compiled().fit(features, class_ids, sample_weight=weight, class_weight={0: 3.0})
    np.testing.assert_array_equal(weight, 1)


def test_other_optimizer_trains_as_keras_does():
    head = LinearHead(20, 3)
    head.compile(optimizer=keras.optimizers.Adam(0.05), metrics=["accuracy"])
    assert not head.solves_itself
    features, class_ids = activations()
    epochs = []
    history = head.fit(
        features,
        class_ids,
        epochs=12,
        verbose=0,
        validation_split=0.2,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))],
        class_weight={0: 1.0, 1: 2.0, 2: 1.0},
    )
    assert epochs == list(range(12))
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert len(history.history["val_accuracy"]) == 12


def test_seed_decides_the_first_weights_and_nothing_global():
    first, again, other = (LinearHead(20, 3, seed=seed).get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_compile_says_which_solver():
    head = compiled()
    assert head.solves_itself
    head.compile(optimizer="LBFGS", loss="sparse_categorical_crossentropy")
    assert head.solves_itself
    with pytest.raises(ValueError, match=r"another optimizer.*loss='mse'"):
        head.compile(loss="mse")
    head.compile(optimizer="adam", loss="mse")
    assert not head.solves_itself


@pytest.mark.parametrize(("shape", "labels"), [((6, 19), 6), ((6, 20), 5), ((6,), 6), ((6, 20, 1), 6)])
def test_wrong_shapes(shape, labels):
    with pytest.raises(ValueError, match=r"features have shape \(n, 20\).*Received: shapes"):
        compiled().fit(np.zeros(shape), np.zeros(labels, int))


@pytest.mark.parametrize("class_ids", [[0, 1, 2, 3, 0, 1], [-1, 0, 1, 2, 0, 1]])
def test_class_ids_out_of_range(class_ids):
    with pytest.raises(ValueError, match=r"\[0, 2\]"):
        compiled().fit(np.ones((6, 20)), class_ids)


def test_features_that_are_not_finite():
    features, class_ids = activations()
    features[3, 4] = np.nan
    with pytest.raises(ValueError, match="finite"):
        compiled().fit(features, class_ids)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_keras_file_round_trip(tmp_path, optimizer):
    head = LinearHead(20, 3, Cs=[2.0, 8.0], n_folds=3, seed=7, name="mine")
    head.compile(optimizer=optimizer)
    features, class_ids = activations()
    head.fit(features, class_ids, **({} if optimizer == "lbfgs" else {"verbose": 0}))
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras")
    assert again.get_config() == head.get_config()
    assert again.solves_itself == head.solves_itself
    assert float(again.normalization.power) == float(head.normalization.power)
    np.testing.assert_array_equal(again.predict(features, verbose=0), head.predict(features, verbose=0))
    again.fit(features, class_ids, **({} if optimizer == "lbfgs" else {"verbose": 0}))


def test_normalization_is_in_the_export(tmp_path):
    import tensorflow as tf

    head = compiled()
    features, class_ids = activations()
    head.fit(features, class_ids)
    images = keras.Input((20,))
    keras.Model(images, head(images)).export(str(tmp_path / "export"), verbose=False)
    # The module must stay referenced: its function holds its variables weakly.
    module = tf.saved_model.load(str(tmp_path / "export"))
    served = module.serve(features)
    np.testing.assert_allclose(served, head.predict(features, verbose=0), atol=1e-6)


def test_a_head_that_was_saved_with_the_earlier_word_for_its_cs_comes_back():
    config = LinearHead(4, 2, Cs=(1.0, 2.0)).get_config()
    config["penalties"] = config.pop("Cs")
    assert LinearHead.from_config(config).Cs == (1.0, 2.0)


def test_copies_are_held_out_together():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 128)).astype(np.float32)
    class_ids = rng.integers(0, 2, 40)
    doubled, labels = np.concatenate([features, features]), np.concatenate([class_ids, class_ids])

    def accuracy(x, **options):
        head = LinearHead(128, 2)
        head.compile()
        head.fit(x, labels, **options)
        return (head.out_of_fold_.argmax(axis=1) == labels).mean()

    # There is nothing to learn: only a head that has seen a copy of an example can know its label.
    assert accuracy(doubled) < 0.7
    almost = doubled + 1e-4 * rng.normal(size=doubled.shape).astype(np.float32)
    assert accuracy(almost) > 0.8
    assert accuracy(almost, groups=np.tile(np.arange(40), 2)) < 0.7
