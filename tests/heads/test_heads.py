"""What every head keeps to, and the MLP's own."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import typer

from tfautolabel.cli.app import app
from tfautolabel.heads import HEADS, build_head, mlp_head
from tfautolabel.heads.contract import check_head


def data(n=90, d=12, k=3, seed=0):
    rng = np.random.default_rng(seed)
    class_ids = np.arange(n) % k
    centres = np.random.default_rng(5).normal(size=(k, d))
    return (centres[class_ids] + rng.normal(0, 0.3, (n, d))).astype(np.float32), class_ids


@pytest.fixture(params=HEADS)
def name(request):
    return request.param


def test_untrained_head_gives_probabilities(name):
    head = build_head(name, 12, 3)
    probabilities = head.predict(data()[0], verbose=0)
    assert probabilities.shape == (90, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_head_is_compiled_and_learns(name):
    head = build_head(name, 12, 3)
    head.fit(*data(), epochs=30, verbose=0)
    others = data(seed=1)
    assert head.evaluate(*others, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_seed_decides_the_first_weights(name):
    first, again, other = (build_head(name, 12, 3, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_keras_file_round_trip(name, tmp_path):
    head = build_head(name, 12, 3)
    features, class_ids = data()
    head.fit(features, class_ids, verbose=0)
    head.save(tmp_path / "head.keras")
    again = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(again.predict(features, verbose=0), head.predict(features, verbose=0))


def test_unknown_head():
    with pytest.raises(ValueError, match=rf"one of {re.escape(str(sorted(HEADS)))}.*Received: 'forest'"):
        build_head("forest", 12, 3)


def test_mlp_training_is_determined_by_its_seed():
    def trained(seed):
        head = mlp_head(12, 3, seed=seed, hidden=16)
        batches = tf.data.Dataset.from_tensor_slices(data()).shuffle(90, seed=seed).batch(16)
        head.fit(batches, epochs=3, verbose=0)
        return head.get_weights()

    first, again, other = trained(0), trained(0), trained(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_mlp_solves_what_no_linear_head_can():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2)).astype(np.float32)
    class_ids = (features[:, 0] * features[:, 1] > 0).astype(int)
    scores = {}
    for name in HEADS:
        head = build_head(name, 2, 2)
        head.fit(features, class_ids, epochs=60, verbose=0)
        scores[name] = head.evaluate(features, class_ids, verbose=0, return_dict=True)["accuracy"]
    assert scores["mlp"] > 0.9 > 0.75 > scores["linear"]


def test_contract_of_a_head(name):
    check_head(build_head(name, 12, 3), 12, 3)
    with pytest.raises(ValueError, match=r"must give shape \(n, 4\).*Received: \(n, 3\)"):
        check_head(build_head(name, 12, 3), 12, 4)
    with pytest.raises(ValueError, match=r"does not take features of shape \(n, 13\)"):
        check_head(build_head(name, 12, 3), 13, 3)


def test_contract_refuses_what_is_no_head():
    with pytest.raises(TypeError, match="Received: 'forest'"):
        check_head("forest", 12, 3)
    logits = keras.Sequential([keras.Input((12,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="probabilities, not logits"):
        check_head(logits, 12, 3)


CONTRACT = (
    test_untrained_head_gives_probabilities,
    test_head_is_compiled_and_learns,
    test_seed_decides_the_first_weights,
    test_contract_of_a_head,
)
"""What runs over `HEADS`."""


def tanh_head(feature_dim, n_classes, seed):
    """Step 1 of the recipe in CONTRIBUTING.md."""
    layers = keras.layers
    first, last = (keras.initializers.GlorotUniform(seed + number) for number in range(2))
    head = keras.Sequential(
        [
            keras.Input((feature_dim,)),
            layers.Dense(8, "tanh", kernel_initializer=first),
            layers.Dense(n_classes, "softmax", kernel_initializer=last),
        ]
    )
    head.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return head


def test_a_head_is_added_as_contributing_says(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="Received: 'tanh'"):
        build_head("tanh", 12, 3)
    monkeypatch.setitem(HEADS, "tanh", tanh_head)
    for contract in CONTRACT:
        contract("tanh")
    test_keras_file_round_trip("tanh", tmp_path)
    with pytest.raises(ValueError, match=r"one of .*'tanh'.*Received: 'forest'"):
        build_head("forest", 12, 3)


def test_a_head_that_gives_logits_does_not_pass(monkeypatch):
    monkeypatch.setitem(
        HEADS, "logits", lambda d, k, seed: keras.Sequential([keras.Input((d,)), keras.layers.Dense(k)])
    )
    with pytest.raises(AssertionError):
        test_untrained_head_gives_probabilities("logits")
    with pytest.raises(ValueError, match="probabilities, not logits"):
        test_contract_of_a_head("logits")


def test_the_help_of_the_command_names_every_head():
    options = typer.main.get_command(app).commands["run"].params
    (told,) = [option.help for option in options if "--head" in option.opts]
    assert [name for name in HEADS if name not in told] == []
