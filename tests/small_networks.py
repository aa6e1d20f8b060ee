"""Small trainable backbones for tests of training."""

import functools
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from separable import CLASSES, picture

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.preprocessors import ImagePreprocessor


@functools.cache
def preprocessing(size):
    """A preprocessor and its graph, which takes two seconds to make: once for all backbones of a size."""
    preprocessor = ImagePreprocessor(size)
    return preprocessor, Backbone.prepare.func(SimpleNamespace(preprocessor=preprocessor))


def convolutional(seed=0, size=16):
    """A backbone of three convolutions with batch norms: stem, block0, block1; 8 features."""
    initializers = iter(keras.initializers.GlorotUniform(seed + number) for number in range(9))
    pixels = keras.Input((size, size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 128, -1, name="scale")(pixels)
    for name in ("stem", "block0", "block1"):
        kernel = next(initializers)
        x = keras.layers.Conv2D(8, 3, use_bias=False, kernel_initializer=kernel, name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(momentum=0.5, name=f"{name}_bn")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    network = keras.Model(pixels, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="small")
    network.trainable = False
    preprocessor, prepare = preprocessing(size)
    backbone = Backbone("test:small", preprocessor, network, "small")
    backbone.prepare = prepare
    return backbone


def coloured(per_class=4, first=0, noise=0.0, seed=0):
    """Labelled pictures of three classes; a share of `noise` of the labels is wrong."""
    rng = np.random.default_rng(seed)
    inputs = [picture(name, number) for number in range(first, first + per_class) for name in CLASSES]
    names = [
        name if rng.random() >= noise else str(rng.choice(CLASSES)) for name in list(CLASSES) * per_class
    ]
    return Dataset.from_inputs(inputs, names).with_classes(CLASSES)


def in_less_light(dataset, factor=0.93):
    """The same pictures, darker and without their labels."""
    pixels = [tf.io.decode_png(one).numpy() for one in dataset.read(range(len(dataset)))]
    return Dataset.from_inputs([tf.io.encode_png((one * factor).astype(np.uint8)).numpy() for one in pixels])


def values(network):
    """Weight path to array."""
    return {weight.path: weight.numpy() for weight in network.weights}


def changed(before, after):
    """The paths of the weights that differ."""
    return {path for path, value in before.items() if not np.array_equal(value, after[path])}
