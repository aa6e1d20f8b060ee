"""The GPU's engine on the CPU: what it computes, and how often it compiles. Its speed is not tried here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from separable import CLASSES, picture
from small_networks import convolutional

from tfautolabel._precision import FLOAT16, FLOAT32
from tfautolabel.backbones.backbone import run_network
from tfautolabel.features.engines import gpu
from tfautolabel.features.engines.gpu import GpuNetwork, on_devices, prepared_for_the_device
from tfautolabel.preprocessors.contract import Filling

CPU = "/CPU:0"
TEXT = Filling(-1, 64)


class MaskedMean(layers.Layer):
    """Embeds tokens and takes the mean of those that are not -1."""

    def __init__(self, vocabulary=50):
        super().__init__()
        self.table = self.add_weight(
            shape=(vocabulary, 8), initializer=keras.initializers.RandomNormal(seed=1)
        )

    def call(self, tokens):
        known = tf.cast(tokens >= 0, tf.float32)[..., None]
        rows = tf.gather(self.table.value, tf.maximum(tokens, 0))
        return tf.reduce_sum(rows * known, axis=1) / tf.reduce_sum(known, axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], 8)


@pytest.fixture(scope="module")
def text_network():
    tokens = keras.Input((None,), dtype="int32")
    kernel = keras.initializers.GlorotUniform(seed=0)
    return keras.Model(tokens, layers.Dense(6, kernel_initializer=kernel)(MaskedMean()(tokens)))


def tokens(rows, length, seed=0):
    return np.random.default_rng(seed).integers(0, 50, (rows, length)).astype(np.int32)


def traced(network):
    """How many shapes XLA has compiled for; it must not have refused one."""
    return len(network.compiled) if network.compiles else 0


@pytest.mark.parametrize(("precision", "most"), [(FLOAT32, 1e-6), (FLOAT16, 2e-3)])
def test_pictures_of_any_size_in_any_number(precision, most):
    backbone = convolutional()
    engine = on_devices(backbone.network, backbone.preprocessor, precision, [CPU])
    examples = tf.constant([picture(name, number) for number in range(4) for name in CLASSES])
    ready = prepared_for_the_device(backbone.preprocessor)(examples)
    expected = run_network(backbone.network, backbone.prepare(examples).inputs).numpy()
    inputs = [tensor.numpy() for tensor in ready.inputs]
    for count in (12, 5, 1, 0):
        found = engine(*(rows[:count] for rows in inputs))
        np.testing.assert_allclose(found, expected[:count], atol=most * np.abs(expected).max())
        assert found.dtype == np.float32
    assert traced(engine) == 1, "fewer rows than before are filled up"


def test_float16_is_really_computed(text_network):
    """Else a run would say a precision that it does not have."""
    inputs = tokens(4, 8)
    by = {
        precision: GpuNetwork(text_network, precision, [CPU], filling=TEXT)(inputs)
        for precision in (FLOAT32, FLOAT16)
    }
    difference = np.abs(by[FLOAT16] - by[FLOAT32]).max()
    assert 1e-6 < difference < 1e-2


def test_each_length_compiles_once(text_network):
    engine = GpuNetwork(text_network, FLOAT32, [CPU], filling=TEXT)
    for rows, length in [(4, 3), (4, 4), (3, 2), (4, 5), (2, 8), (1, 64), (4, 4)]:
        inputs = tokens(rows, length)
        np.testing.assert_allclose(engine(inputs), text_network(inputs), atol=1e-6)
    assert traced(engine) == 3  # 4, 8 and 64


def test_what_must_not_be_filled_up_is_not_compiled(text_network):
    engine = GpuNetwork(text_network, FLOAT32, [CPU])
    inputs = tokens(3, 5)
    np.testing.assert_allclose(engine(inputs), text_network(inputs), atol=1e-6)
    assert traced(engine) == 0


def test_many_rows_are_computed_in_parts(text_network, monkeypatch):
    monkeypatch.setattr(gpu, "MOST_ROWS", 4)
    engine = GpuNetwork(text_network, FLOAT32, [CPU], filling=TEXT)
    inputs = tokens(11, 4)
    np.testing.assert_allclose(engine(inputs), text_network(inputs), atol=1e-6)
    assert traced(engine) == 1


def test_large_tables_are_on_the_device(text_network, monkeypatch):
    monkeypatch.setattr("tfautolabel.features.frozen.LARGE", 100)
    inputs = tokens(3, 4)
    for precision, most in ((FLOAT32, 1e-6), (FLOAT16, 1e-2)):
        engine = GpuNetwork(text_network, precision, [CPU], filling=TEXT)
        np.testing.assert_allclose(engine(inputs), text_network(inputs), atol=most)


def test_several_devices_share_the_calls(text_network):
    engine = GpuNetwork(text_network, FLOAT32, [CPU, "/device:CPU:0"], filling=TEXT)
    taken = []
    real = engine._run
    engine._run = lambda device, tensors: (taken.append(device), real(device, tensors))[1]
    for seed in range(4):
        inputs = tokens(2, 4, seed)
        np.testing.assert_allclose(engine(inputs), text_network(inputs), atol=1e-6)
    assert set(taken) == {CPU, "/device:CPU:0"}


def test_what_xla_cannot_compile_runs_without_it():
    """`tf.unique` gives as many values as there are; XLA knows no such shapes."""

    class Distinct(layers.Layer):
        def call(self, values):
            return values + tf.reduce_sum(tf.unique(tf.reshape(values, [-1])).y)

        def compute_output_shape(self, shape):
            return shape

    values = keras.Input((3,))
    engine = GpuNetwork(keras.Model(values, Distinct()(values)), FLOAT32, [CPU])
    np.testing.assert_allclose(engine(np.ones((2, 3), np.float32)), np.full((2, 3), 2.0))


def test_a_full_memory_names_the_batch_size(text_network):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")

    engine = GpuNetwork(text_network, FLOAT32, [CPU], filling=TEXT)
    engine._run = full
    with pytest.raises(MemoryError, match=r"too small for 2 examples at a time: .* \(--batch-size\)"):
        engine(tokens(2, 4))
    assert engine._free.qsize() == gpu.IN_FLIGHT
