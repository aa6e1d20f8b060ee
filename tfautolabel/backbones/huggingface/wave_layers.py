"""The layers before the blocks of wav2vec2 and HuBERT: from samples to frames with positions.

Every layer knows how much of a row belongs to the clip, so the padding of a batch changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from tfautolabel.backbones.huggingface.transformer import ACTIVATIONS, check_activation
from tfautolabel.backbones.networks.shapes import Shape

NORM_EPSILON = 1e-5
"""Epsilon of the norms between the convolutions. A checkpoint does not state it."""


def frame_counts(
    lengths: keras.KerasTensor, kernels: Sequence[int], strides: Sequence[int]
) -> keras.KerasTensor:
    """Returns how many frames convolutions without padding make of samples: integers or integer tensors."""
    for kernel, stride in zip(kernels, strides, strict=True):
        lengths = (lengths - kernel) // stride + 1
    return lengths


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Returns the fewest samples from which the convolutions make a frame."""
    samples = 1
    for kernel, stride in reversed(list(zip(kernels, strides, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


@keras.saving.register_keras_serializable("tfautolabel")
class StandardisedWave(layers.Layer):
    """Scales a clip's samples to mean zero and variance one.

    Call arguments:
        waves: (w, t) float32.
        lengths: (w,) int32, samples of each clip.

    Returns:
        (w, t) float32, zeros after a clip's end.
    """

    def call(self, waves: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        real = tf.sequence_mask(lengths, tf.shape(waves)[1])
        return _standardised(waves[..., None], real[..., None], 1e-7)[..., 0]

    def compute_output_shape(self, waves_shape: Shape, lengths_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, t)."""
        return waves_shape


@keras.saving.register_keras_serializable("tfautolabel")
class FrameCounts(layers.Layer):
    """Counts the real frames of each clip.

    Args:
        kernels: widths of the convolutions from samples to frames.
        strides: their steps.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        lengths: (w,) int32, samples of each clip. A clip that is too short for a frame counts together with
            the silence after it.

    Returns:
        (w,) int32, at least 1.
    """

    def __init__(self, kernels: Sequence[int], strides: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.kernel_sizes, self.strides = list(kernels), list(strides)

    def call(self, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return tf.maximum(frame_counts(lengths, self.kernel_sizes, self.strides), 1)

    def compute_output_spec(self, lengths: keras.KerasTensor) -> keras.KerasTensor:
        """Returns (w,) int32."""
        return keras.KerasTensor(lengths.shape, "int32")

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        return {**super().get_config(), "kernels": self.kernel_sizes, "strides": self.strides}


@keras.saving.register_keras_serializable("tfautolabel")
class WaveConvolution(layers.Layer):
    """A convolution over time without padding, a norm and an activation.

    Args:
        inputs: channels of the input.
        width: c, channels of the output.
        kernel: its width.
        stride: its step.
        norm: "group" normalises each channel over a clip's frames, "layer" the channels of each frame; or
            "none".
        reach: samples of the waveform that one frame sees.
        step: samples of the waveform between two frames.
        activation: one of `ACTIVATIONS`.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, f, inputs) float32.
        lengths: (w,) int32, samples of each clip, for the norm over its frames.

    Returns:
        (w, (f - kernel) // stride + 1, c) float32.

    Raises:
        ValueError: If the norm or the activation is unknown.
    """

    def __init__(
        self,
        inputs: int,
        width: int,
        kernel: int,
        stride: int,
        norm: str,
        reach: int,
        step: int,
        activation: str = "gelu",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        check_activation(activation)
        if norm not in ("group", "layer", "none"):
            raise ValueError(f"a norm must be 'group', 'layer' or 'none'. Received: {norm!r}")
        self.inputs_width, self.width, self.kernel_size, self.stride = inputs, width, kernel, stride
        self.norm, self.reach, self.step, self.activation = norm, reach, step, activation
        self.kernel = self.add_weight(shape=(kernel, inputs, width), name="kernel")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        if norm != "none":
            self.gamma = self.add_weight(shape=(width,), initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=(width,), initializer="zeros", name="beta")
        self.built = True

    def call(self, rows: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """See the class."""
        rows = tf.nn.conv1d(rows, self.kernel.value, self.stride, "VALID")
        rows = tf.nn.bias_add(rows, self.bias.value)
        if self.norm == "group":
            counts = tf.maximum((lengths - self.reach) // self.step + 1, 1)
            real = tf.sequence_mask(counts, tf.shape(rows)[1])[..., None]
            rows = _standardised(rows, real, NORM_EPSILON)
        elif self.norm == "layer":
            mean, variance = tf.nn.moments(rows, axes=[-1], keepdims=True)
            rows = (rows - mean) * tf.math.rsqrt(variance + NORM_EPSILON)
        if self.norm != "none":
            rows = rows * self.gamma.value + self.beta.value
        return ACTIVATIONS[self.activation](rows)

    def compute_output_shape(self, rows_shape: Shape, lengths_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, frames, c)."""
        return (rows_shape[0], None, self.width)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        own = {"inputs": self.inputs_width, "width": self.width, "kernel": self.kernel_size}
        names = ("stride", "norm", "reach", "step", "activation")
        return {**super().get_config(), **own, **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("tfautolabel")
class ConvolutionalPosition(layers.Layer):
    """Adds to each frame a convolution over the frames around it, which encodes its position.

    Args:
        width: d.
        kernel: frames that it sees, half of them before the frame.
        groups: number of parts of d that are convolved separately.
        activation: one of `ACTIVATIONS`.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        rows: (w, f, d) float32.
        counts: (w,) int32, how many frames of each clip are real.

    Returns:
        (w, f, d) float32.

    Raises:
        ValueError: If the activation is unknown or the groups do not divide the width.
    """

    def __init__(
        self, width: int, kernel: int, groups: int, activation: str = "gelu", **options: Any
    ) -> None:
        super().__init__(**options)
        check_activation(activation)
        if width % groups:
            raise ValueError(f"the groups must divide the width. Received: {groups} and {width}")
        self.width, self.kernel_size, self.groups, self.activation = width, kernel, groups, activation
        self.kernel = self.add_weight(shape=(kernel, width // groups, width), name="kernel")
        self.bias = self.add_weight(shape=(width,), initializer="zeros", name="bias")
        self.built = True

    def call(self, rows: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
        """See the class."""
        real = tf.sequence_mask(counts, tf.shape(rows)[1])[..., None]
        rows = tf.where(real, rows, 0.0)
        before = self.kernel_size // 2
        padded = tf.pad(rows, [[0, 0], [before, self.kernel_size - 1 - before], [0, 0]])
        # TensorFlow has no gradient for grouped convolutions on the CPU, so each group is its own
        # convolution.
        parts = zip(
            tf.split(padded, self.groups, axis=-1),
            tf.split(self.kernel.value, self.groups, axis=-1),
            strict=True,
        )
        around = tf.concat([tf.nn.conv1d(part, kernel, 1, "VALID") for part, kernel in parts], axis=-1)
        return rows + ACTIVATIONS[self.activation](tf.nn.bias_add(around, self.bias.value))

    def compute_output_shape(self, rows_shape: Shape, counts_shape: Shape) -> Shape:  # noqa: ARG002
        """Returns (w, f, d)."""
        return rows_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that build an equal layer."""
        own = {"width": self.width, "kernel": self.kernel_size, "groups": self.groups}
        return {**super().get_config(), **own, "activation": self.activation}


def _standardised(rows: tf.Tensor, real: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Scales the real frames to mean zero and variance one over time, with zeros elsewhere.

    Args:
        rows: (w, t, c) float32.
        real: (w, t, 1) bool.
        epsilon: added to the variance.
    """
    count = tf.maximum(tf.reduce_sum(tf.cast(real, rows.dtype), axis=1, keepdims=True), 1.0)
    mean = tf.reduce_sum(tf.where(real, rows, 0.0), axis=1, keepdims=True) / count
    rows = tf.where(real, rows - mean, 0.0)
    variance = tf.reduce_sum(tf.square(rows), axis=1, keepdims=True) / count
    return rows * tf.math.rsqrt(variance + epsilon)
