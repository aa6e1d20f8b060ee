import struct

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from tfautolabel.backbones.formats.tflite import read_tflite


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A small network as TensorFlow's own converter writes it, with its kernels."""
    keras.utils.set_random_seed(0)
    convolution = keras.layers.Conv2D(4, (3, 2), bias_initializer="normal")
    pooled = keras.layers.MaxPooling2D((2, 1), strides=(2, 1))
    slope = keras.layers.LeakyReLU(0.2)
    inputs = keras.Input((8, 5, 3), batch_size=1)
    network = keras.Model(inputs, slope(pooled(convolution(inputs))))
    run = tf.function(network, input_signature=[tf.TensorSpec([1, 8, 5, 3])]).get_concrete_function()
    path = tmp_path_factory.mktemp("tflite") / "network.tflite"
    frozen = convert_variables_to_constants_v2(run)
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert())
    return path, convolution.kernel.numpy(), convolution.bias.numpy()


def test_weights_and_options_are_the_networks(converted):
    path, kernel, bias = converted
    constants, operators = read_tflite(path)
    known = {operator.name: operator for operator in operators}
    assert {"CONV_2D", "MAX_POOL_2D", "LEAKY_RELU"} <= set(known)
    np.testing.assert_array_equal(known["CONV_2D"].constants[0].transpose(1, 2, 3, 0), kernel)
    np.testing.assert_array_equal(known["CONV_2D"].constants[1], bias)
    assert any(np.array_equal(constant, bias) for constant in constants)
    pooling = known["MAX_POOL_2D"].options
    assert [pooling.number(field, "i") for field in (2, 1, 4, 3)] == [2, 1, 2, 1]
    assert known["LEAKY_RELU"].options.number(0, "f") == pytest.approx(0.2)


def test_broken_files_are_refused_or_read(converted, tmp_path):
    original = converted[0].read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / "broken.tflite"
    refused = 0
    for _ in range(500):
        changed = bytearray(original)
        for _ in range(rng.integers(1, 6)):
            place = 4 * rng.integers(len(changed) // 4)
            changed[place : place + 4] = struct.pack(
                "<I", rng.choice([0, 1, 2**31, 2**32 - 1, rng.integers(2**32)])
            )
        path.write_bytes(bytes(changed[: rng.integers(len(changed))] if rng.random() < 0.3 else changed))
        try:
            read_tflite(path)
        except ValueError as error:
            refused += 1
            assert "is not a TensorFlow Lite file that can be read" in str(error)  # noqa: PT017
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"GGUF" * 9])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.tflite is not a TensorFlow Lite file"):
        read_tflite(path)
