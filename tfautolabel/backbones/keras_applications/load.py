"""Loads backbones from keras.applications, each with its own preprocessing."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._cache import offline
from tfautolabel.backbones.backbone import Backbone
from tfautolabel.preprocessors import ImagePreprocessor

APPLICATIONS: dict[str, tuple[str, int]] = {
    "ConvNeXtTiny": ("convnext", 224),
    "ConvNeXtSmall": ("convnext", 224),
    "ConvNeXtBase": ("convnext", 224),
    "DenseNet121": ("densenet", 224),
    "DenseNet169": ("densenet", 224),
    "DenseNet201": ("densenet", 224),
    "EfficientNetB0": ("efficientnet", 224),
    "EfficientNetB1": ("efficientnet", 240),
    "EfficientNetB2": ("efficientnet", 260),
    "EfficientNetB3": ("efficientnet", 300),
    "EfficientNetB4": ("efficientnet", 380),
    "EfficientNetV2B0": ("efficientnet_v2", 224),
    "EfficientNetV2B1": ("efficientnet_v2", 240),
    "EfficientNetV2B2": ("efficientnet_v2", 260),
    "EfficientNetV2B3": ("efficientnet_v2", 300),
    "EfficientNetV2S": ("efficientnet_v2", 384),
    "InceptionResNetV2": ("inception_resnet_v2", 299),
    "InceptionV3": ("inception_v3", 299),
    "MobileNet": ("mobilenet", 224),
    "MobileNetV2": ("mobilenet_v2", 224),
    "MobileNetV3Large": ("mobilenet_v3", 224),
    "MobileNetV3Small": ("mobilenet_v3", 224),
    "NASNetLarge": ("nasnet", 331),
    "NASNetMobile": ("nasnet", 224),
    "ResNet50": ("resnet", 224),
    "ResNet50V2": ("resnet_v2", 224),
    "ResNet101": ("resnet", 224),
    "ResNet101V2": ("resnet_v2", 224),
    "ResNet152": ("resnet", 224),
    "ResNet152V2": ("resnet_v2", 224),
    "VGG16": ("vgg16", 224),
    "VGG19": ("vgg19", 224),
    "Xception": ("xception", 299),
}
"""Maps a name to the module in keras.applications and the side in pixels at which it was trained."""


def load_keras_application(reference: str) -> Backbone:
    """Builds a network of keras.applications with average pooling, without its classifier.

    Args:
        reference: NAME or NAME:WEIGHTS. NAME is a key of `APPLICATIONS`; WEIGHTS is "imagenet" (the default,
            downloaded by Keras), "random" (no pretraining: for tests and comparisons), or the path of a
            weights file without the classifier.

    Returns:
        The backbone, frozen.

    Raises:
        ValueError: If the name is unknown or the weights do not fit.
        FileNotFoundError: If the weights file does not exist.
        RuntimeError: If the weights cannot be downloaded.
    """
    name, _, weights = reference.partition(":")
    if name not in APPLICATIONS:
        raise ValueError(
            f"keras: is followed by one of {', '.join(APPLICATIONS)}. Received: {name!r}; "
            "a weights file goes behind a second colon, as in keras:MobileNetV2:weights.h5"
        )
    weights = os.path.expanduser(weights or "imagenet")
    if weights not in ("imagenet", "random") and not Path(weights).is_file():
        raise FileNotFoundError(
            f"weights are imagenet, random or a file. Received: {weights!r}, which is no file"
        )
    module_name, size = APPLICATIONS[name]
    network = _network(name, module_name, size, weights)
    if weights == "random":
        _draw_weights(network)
    network.trainable = False
    return Backbone(f"keras:{reference}", ImagePreprocessor(size), network, f"keras.applications.{name}")


def _network(name: str, module_name: str, size: int, weights: str) -> keras.Model:
    module = importlib.import_module(f"keras.applications.{module_name}")
    pixels = keras.Input((size, size, 3), name="pixels")
    options = {"include_top": False, "pooling": "avg", "input_tensor": module.preprocess_input(pixels)}
    build = getattr(keras.applications, name)
    if weights == "random":
        return build(weights=None, **options)
    if weights != "imagenet":
        return _with_weights_file(name, weights, build, options)
    if offline() and not _downloaded(name):
        raise RuntimeError(
            f"keras:{name} needs its ImageNet weights, which Keras downloads, and TFAUTOLABEL_OFFLINE is "
            f"set: give a weights file as keras:{name}:FILE, "
            f"or load keras:{name} once on a machine with a network"
        )
    try:
        return build(weights="imagenet", **options)
    except Exception as error:  # Keras raises a bare Exception when a download fails.
        if isinstance(error, ValueError | TypeError):
            raise
        raise RuntimeError(
            f"keras:{name} needs its ImageNet weights and Keras could not download them ({error}): "
            f"give a weights file as keras:{name}:FILE, or choose a packaged: backbone"
        ) from error


def _with_weights_file(
    name: str, weights: str, build: Callable[..., keras.Model], options: dict[str, Any]
) -> keras.Model:
    """Returns the network with the weights of a file, `.weights.h5`, `.keras` or `.h5`."""
    try:
        with warnings.catch_warnings():
            # Keras warns a hundred times about parts without weights.
            warnings.simplefilter("ignore", UserWarning)
            return build(weights=weights, **options)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"weights must fit {name} without its classifier: a .weights.h5, .keras or .h5 file that Keras "
            f"wrote ({reason}). Received: {weights!r}"
        ) from error


def _downloaded(name: str) -> bool:
    """Returns whether Keras has this network's weights without the classifier in its folder."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    # Keras names the files in many ways: mobilenet_v2_weights_…_no_top.h5, weights_mobilenet_v3_large_…, and
    # mobilenet_1_0_… for MobileNet. The first must not match MobileNet.
    pattern = re.compile(rf"(weights)?{name.lower()}(?!v\d).*notop")
    names = (re.sub("[^a-z0-9]", "", file.name.lower()) for file in (Path(home) / "models").glob("*.h5"))
    return any(pattern.match(found) for found in names)


def _draw_weights(network: keras.Model) -> None:
    """Sets He-normal kernels from a fixed generator of its own, so it gives the same network each time."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if len(weight.shape) >= 2:
            # A depthwise kernel, (height, width, channels, 1), sees only one channel.
            inputs = weight.shape[:2] if "depthwise" in weight.path else weight.shape[:-1]
            fan_in = int(np.prod(inputs))
            weight.assign(rng.normal(0.0, np.sqrt(2.0 / fan_in), weight.shape).astype("float32"))
