import hashlib
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.backbones import weights_digest
from tfautolabel.backbones.weights_digest import WeightsDigest
from tfautolabel.training.rates import TransferAdam


def network():
    keras.utils.set_random_seed(0)
    layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.BatchNormalization()]
    return keras.Sequential([*layers, keras.layers.Dense(1)])


def plainly(weights, described="x"):
    """The digest as it has always been, which saved backbones hold."""
    digest = hashlib.sha256(described.encode())
    for weight in weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.dtype.str}{value.shape}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def fit(optimizer, jit):
    def change(model):
        model.compile(optimizer if isinstance(optimizer, str) else optimizer(), "mse", jit_compile=jit)
        model.fit(np.ones((8, 4)), np.arange(8.0)[:, None], epochs=2, verbose=0)

    return change


def scatter(model):
    model.weights[0].value.scatter_nd_update([[0]], [[1.0, 2.0, 3.0]])


def in_a_graph(model):
    tf.function(lambda: model.weights[0].value.assign_add(tf.ones((4, 3))))()


def by_the_kernel(model):
    handle = model.weights[1].value.handle
    tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=0.1, delta=tf.ones((3,)))


CHANGES = {
    "assign": lambda model: model.weights[0].assign(model.weights[0].numpy() + 1),
    "assign_add": lambda model: model.weights[0].assign_add(np.ones((4, 3), np.float32)),
    "set_weights": lambda model: model.set_weights([value + 1 for value in model.get_weights()]),
    "moving averages": lambda model: model(np.ones((8, 4), np.float32), training=True),
    "scatter": scatter,
    "graph": in_a_graph,
    "kernel": by_the_kernel,
    "adam": fit("adam", False),
    "sgd": fit("sgd", False),
    "own adam": fit(lambda: TransferAdam([1.0] * 6, [None] * 6, 0.0), False),
    "compiled adam": fit("adam", True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_never_that_of_weights_before_a_change(change):
    model, digest = network(), WeightsDigest()
    seen = {digest.of(model.weights, "x")}
    # Twice: memory that the first change has left may be taken for the second.
    for _ in range(2):
        change(model)
        assert digest.of(model.weights, "x") == plainly(model.weights)
        seen.add(digest.of(model.weights, "x"))
    assert len(seen) >= 2


def test_a_change_that_is_taken_back_gives_the_first_digest_again():
    model, digest = network(), WeightsDigest()
    values, first = model.get_weights(), digest.of(model.weights, "x")
    CHANGES["assign_add"](model)
    assert digest.of(model.weights, "x") != first
    model.set_weights(values)
    assert digest.of(model.weights, "x") == first


def test_one_state_is_hashed_once(monkeypatch):
    model, digest, hashed = network(), WeightsDigest(), []
    sha256 = hashlib.sha256

    def counting(*content):
        hashed.append(content)
        return sha256(*content)

    # Of this module only: other code of the process may hash something meanwhile.
    monkeypatch.setattr(weights_digest, "hashlib", SimpleNamespace(sha256=counting))
    assert len({digest.of(model.weights, "x") for _ in range(6)}) == len(hashed) == 1
    model(np.ones((8, 4), np.float32), training=False)
    digest.of(model.weights, "x")
    assert len(hashed) == 1
    assert digest.of(model.weights, "y") == plainly(model.weights, "y")
    assert digest.of(model.weights[:-1], "y") == plainly(model.weights[:-1], "y")


def test_weights_that_numpy_has_no_type_for_are_hashed_each_time():
    weight = keras.Variable(np.ones(3), dtype="bfloat16")
    digest = WeightsDigest()
    first = digest.of([weight], "x")
    assert first == plainly([weight]) == digest.of([weight], "x")
    weight.assign(weight * 2)
    assert digest.of([weight], "x") != first
