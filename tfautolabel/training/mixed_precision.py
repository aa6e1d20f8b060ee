"""Trains in bf16 on GPUs that have it: convolutions and dense layers only, with float32 weights.

As Keras's `mixed_bfloat16`, but only for the layers that take the time, and only while training runs: norms,
losses and layers of other kinds stay float32. bf16 has float32's range, so that no loss has to be scaled, as
float16 would need (Micikevicius et al. 2018, arXiv 1710.03740; Kalamkar et al. 2019, arXiv 1905.12322).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from tfautolabel._gpus import visible_gpus
from tfautolabel._keras_internals import all_layers

HEAVY = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)
"""Layers that are computed in bf16."""

FIRST_WITH_BF16 = (8, 0)
"""The compute capability of the first GPUs of NVIDIA with bf16: Ampere."""


@functools.cache
def gpus_have_bf16() -> bool:
    """Returns whether there is a GPU and all that TensorFlow sees multiply in bf16."""
    if not visible_gpus():
        return False
    import tensorflow as tf

    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return all(one.get("compute_capability", (0, 0)) >= FIRST_WITH_BF16 for one in details)


def heavy_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """Returns a network's layers, at any depth, that are computed in bf16 in training."""
    return [layer for layer in all_layers(network) if type(layer) in HEAVY]


@contextmanager
def computed_in(precision: str, layers: Sequence[keras.layers.Layer]) -> Iterator[None]:
    """Has layers compute in a precision while the context lasts; graphs that are traced in it keep it.

    Args:
        precision: "float32" or "mixed_bfloat16".
        layers: built layers, whose weights are float32 and stay so.
    """
    before = [layer.dtype_policy for layer in layers]
    for layer in layers:
        layer.dtype_policy = precision
    try:
        yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy
