import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.backbone import saved_model_network
from tfautolabel.features.frozen import PART, FrozenNetwork, _foldable, fold_batch_norm


def randomised(network, seed=0):
    """Gives every batch norm statistics and scales that differ from one, so that folding matters."""
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                low, high = (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.3, 0.3)
                weight.assign(rng.uniform(low, high, weight.shape))
    return network


def inputs_for(network, n=5, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, *network.input_shape[1:])).astype(np.float32)


def check_equal(frozen, network, n=5, rtol=1e-3):
    inputs = inputs_for(network, n)
    expected = network(inputs, training=False).numpy()
    # One scale for all features: those near zero carry the rounding of the large ones.
    np.testing.assert_allclose(frozen(inputs), expected, atol=rtol * np.abs(expected).max())
    np.testing.assert_allclose(
        frozen.in_graph(tf.constant(inputs)), expected, atol=rtol * np.abs(expected).max()
    )


def norms_left(network):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in fold_batch_norm(network).layers)


@pytest.fixture(scope="module")
def small():
    """Convolution with bias, depthwise, strided, and norms without scale or centre."""
    keras.utils.set_random_seed(0)
    x = pixels = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=2, bias_initializer="ones")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, use_bias=False)(x)
    x = layers.BatchNormalization(scale=False, epsilon=1e-2)(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Conv2D(8, 1, use_bias=False)(x)
    x = layers.BatchNormalization(center=False)(x)
    return randomised(keras.Model(pixels, layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("n", [1, PART, PART + 1, 32])
def test_small_network(small, n):
    assert norms_left(small) == 0
    check_equal(FrozenNetwork(small), small, n, rtol=1e-5)


def test_empty_batch(small):
    frozen = FrozenNetwork(small)
    assert frozen(inputs_for(small, 0)).shape == (0, 8)


@pytest.mark.parametrize(
    ("name", "side", "left"), [("MobileNetV2", 96, 0), ("ResNet50V2", 64, 17), ("DenseNet121", 64, 62)]
)
def test_keras_networks(name, side, left):
    keras.utils.set_random_seed(1)
    build = getattr(keras.applications, name)
    network = randomised(build(weights=None, include_top=False, pooling="avg", input_shape=(side, side, 3)))
    frozen, inputs = FrozenNetwork(network), inputs_for(network)
    assert (
        len(_foldable(network))
        == sum(isinstance(x, layers.BatchNormalization) for x in network.layers) - left
    )
    expected = network(inputs, training=False).numpy()
    np.testing.assert_allclose(frozen(inputs), expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.packaged
def test_packaged_network():
    from tfautolabel.backbones.packaged import build

    _, network = build("efficientnet-lite0")
    assert norms_left(network) == 0
    inputs = inputs_for(network, 5) * 127 + 127
    expected = network(inputs, training=False).numpy()
    np.testing.assert_allclose(FrozenNetwork(network)(inputs), expected, atol=1e-3 * expected.max())


def test_saved_model_network(image_module):
    network = saved_model_network(image_module, 32)
    assert fold_batch_norm(network) is network
    frozen, inputs = FrozenNetwork(network), inputs_for(network)
    check_equal(frozen, network, 9, rtol=1e-5)
    before = frozen(inputs)
    network.weights[0].assign(network.weights[0] + 1.0)
    np.testing.assert_array_equal(frozen(inputs), before)


def test_training_afterwards_changes_nothing(small):
    network = keras.models.clone_model(small)
    network.set_weights(small.get_weights())
    frozen, inputs = FrozenNetwork(network), inputs_for(network)
    before = frozen(inputs)
    network.compile("sgd", "mse")
    network.fit(inputs, np.zeros((5, 8)), verbose=0)
    assert not np.allclose(network(inputs), before, atol=1e-4)
    np.testing.assert_array_equal(frozen(inputs), before)


def test_freezing_leaves_the_network_alone(small):
    before = small.get_weights()
    FrozenNetwork(small)
    assert all(np.array_equal(a, b) for a, b in zip(before, small.get_weights(), strict=True))


def shared_convolution(x):
    convolution = layers.Conv2D(4, 3, name="shared")
    once = layers.BatchNormalization()(convolution(x))
    return layers.Add()([once, convolution(layers.Rescaling(2.0)(x))])


def shared_norm(x):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(layers.Conv2D(4, 3)(x)), norm(layers.Conv2D(4, 3)(x))])


def two_consumers(x):
    convolved = layers.Conv2D(4, 3)(x)
    return layers.Add()([layers.BatchNormalization()(convolved), layers.ReLU()(convolved)])


def activated(x):
    return layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(x))


def other_axis(x):
    return layers.BatchNormalization(axis=1)(layers.Conv2D(4, 3)(x))


def transposed(x):
    return layers.BatchNormalization()(layers.Conv2DTranspose(4, 3)(x))


def separable(x):
    return layers.BatchNormalization()(layers.SeparableConv2D(4, 3)(x))


def subclassed(x):
    class Doubled(layers.Conv2D):
        def call(self, inputs):
            return 2 * super().call(inputs) + 1

    return layers.BatchNormalization()(Doubled(4, 3)(x))


@pytest.mark.parametrize(
    "block",
    [
        shared_convolution,
        shared_norm,
        two_consumers,
        activated,
        other_axis,
        transposed,
        separable,
        subclassed,
    ],
)
def test_what_may_not_be_folded_is_left(block):
    keras.utils.set_random_seed(3)
    pixels = keras.Input((10, 10, 3))
    network = randomised(keras.Model(pixels, layers.GlobalAveragePooling2D()(block(pixels))))
    assert norms_left(network) == 1
    check_equal(FrozenNetwork(network), network, rtol=1e-5)


def test_convolution_that_is_an_output_too():
    keras.utils.set_random_seed(3)
    pixels = keras.Input((10, 10, 3))
    convolved = layers.Conv2D(4, 3)(pixels)
    normed = layers.BatchNormalization()(convolved)
    network = randomised(keras.Model(pixels, [convolved, normed]))
    inputs = inputs_for(network)
    for value, expected in zip(fold_batch_norm(network)(inputs), network(inputs), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-5)


def test_consumer_outside_the_network():
    """Nodes of other models that share the layers say nothing about this one, but folding must stay right."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((10, 10, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(pixels))
    network = randomised(keras.Model(pixels, layers.GlobalAveragePooling2D()(x)))
    other = keras.Input((10, 10, 3))
    keras.Model(other, network(other))
    check_equal(FrozenNetwork(network), network, rtol=1e-5)


def test_nested_network():
    keras.utils.set_random_seed(3)
    inner_pixels = keras.Input((10, 10, 3))
    inner = keras.Model(inner_pixels, layers.BatchNormalization()(layers.Conv2D(4, 3)(inner_pixels)))
    pixels = keras.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3)(pixels))
    network = keras.Model(pixels, layers.GlobalAveragePooling2D()(inner(x)))
    randomised(inner)
    randomised(network, 1)
    check_equal(FrozenNetwork(network), network, rtol=1e-5)


def test_sequential_and_plain_network():
    keras.utils.set_random_seed(3)
    sequential = keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
        ]
    )
    randomised(sequential)
    check_equal(FrozenNetwork(sequential), sequential, rtol=1e-5)
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    assert fold_batch_norm(plain) is plain
    check_equal(FrozenNetwork(plain), plain, rtol=1e-5)
