"""Converts convolutions, pooling and batch normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.backbones.torch_source.value import Kernel, Value

Margins = tuple[tuple[int, ...], ...]
"""The padding before and after each axis of a picture."""


def convolve(
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],  # noqa: ARG001
    groups: int,
    margins: Sequence[Sequence[int]] | None = None,
    norm: Sequence[Any] | None = None,
) -> Value:
    """Computes `aten.convolution` over pictures, or over rows, which are treated as pictures of height one.

    Args:
        x: (n, c, h, w) or (n, c, w).
        weight: a `Kernel`, or (out, in / groups, h, w) in PyTorch's order.
        bias: (out,).
        stride: one number for each axis of a picture. `padding` and `dilation` have this form too.
        padding: on both sides.
        dilation: spacing between the kernel's elements.
        transposed: not supported.
        output_padding: only for a transposed convolution.
        groups: number of channel groups that are convolved separately.
        margins: replaces `padding` where the two sides of an axis differ.
        norm: weight, bias, mean, variance and epsilon of the batch norm after it. Its statistics do not
            change, so it becomes a factor of the kernel. This costs nothing once the weights are constants.
    """
    if transposed or x.rank not in (3, 4):
        raise NotImplementedError("only convolutions over two axes or one, and no transposed ones")
    if x.rank == 3:
        flat = Value(x.plain[:, :, tf.newaxis])
        kernel = Value(weight.plain[:, :, tf.newaxis])
        ahead = (1, *stride), (0, *padding), (1, *dilation)
        result = convolve(flat, kernel, bias, *ahead, False, (0, 0), groups, norm=norm)
        return Value(tf.squeeze(result.plain, 2))
    margins = tuple(map(tuple, margins or [(size, size) for size in padding]))
    depthwise = is_depthwise(x.shape[1], groups)
    kernel = weight.plain
    if not isinstance(weight, Kernel):
        kernel = convolution_kernel(kernel, groups, depthwise)
    added = None if bias is None else bias.plain
    if norm is not None:
        factor, shift = _factor_and_shift(*norm)
        kernel *= tf.reshape(factor, kernel.shape[2:]) if depthwise else factor
        added = shift if added is None else added * factor + shift
    result = _convolved(x.image, kernel, depthwise, list(stride), margins, list(dilation))
    return Value(result if added is None else tf.nn.bias_add(result, added), channels_last=True)


def is_depthwise(channels: int | None, groups: int) -> bool:
    """Returns whether every channel is convolved separately."""
    return groups > 1 and groups == channels


def convolution_kernel(weight: Any, groups: int, depthwise: bool) -> Any:
    """Transposes (out, in / groups, h, w) to TensorFlow's order.

    The result is (h, w, in / groups, out), or (h, w, in, out / in) if depthwise.
    """
    if depthwise:
        height, width = weight.shape[2:]
        weight = tf.reshape(weight, (groups, -1, height, width))
        return tf.transpose(weight, (2, 3, 0, 1))
    return tf.transpose(weight, (2, 3, 1, 0))


def _convolved(
    x: tf.Tensor,
    kernel: tf.Tensor,
    depthwise: bool,
    strides: list[int],
    margins: Margins,
    dilations: list[int],
) -> tf.Tensor:
    reach = [(size - 1) * gap + 1 for size, gap in zip(kernel.shape[:2], dilations, strict=True)]
    padding = _padding(x, reach, strides, margins)
    if depthwise and strides[0] != strides[1]:
        # TensorFlow's depthwise convolution has one stride for both axes. The grouped one has two.
        height, width, channels, multiplier = kernel.shape
        kernel, depthwise = tf.reshape(kernel, (height, width, 1, channels * multiplier)), False
    if not depthwise:
        return tf.nn.conv2d(x, kernel, strides, padding, dilations=dilations)
    if dilations != [1, 1] and not isinstance(padding, str):
        # TensorFlow dilates a depthwise kernel only if the input is already padded.
        x, padding = tf.pad(x, padding), "VALID"
    return tf.nn.depthwise_conv2d(x, kernel, [1, *strides, 1], padding, dilations=dilations)


def _padding(x: tf.Tensor, reach: Sequence[int], strides: Sequence[int], margins: Margins) -> Any:
    """Returns TensorFlow's name for a padding, if it has one: kernels for named paddings are the fastest."""
    if all(margin == (0, 0) for margin in margins):
        return "VALID"
    sizes = x.shape[1:3]
    if None not in sizes and all(
        margin == same_margins(size, width, step)
        for margin, size, width, step in zip(margins, sizes, reach, strides, strict=True)
    ):
        return "SAME"
    if any(side < 0 for margin in margins for side in margin):
        raise NotImplementedError("padding below zero")
    return [[0, 0], *map(list, margins), [0, 0]]


def same_margins(size: int, reach: int, step: int) -> tuple[int, int]:
    """Returns the padding that TensorFlow's "SAME" adds before and after an axis."""
    total = max((math.ceil(size / step) - 1) * step + reach - size, 0)
    return total // 2, total - total // 2


def batch_norm(
    x: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    _momentum: float,
    epsilon: float,
) -> tuple[Value, None, None]:
    """Computes `aten._native_batch_norm_legit_no_training`, always with the learnt statistics."""
    factor, shift = _factor_and_shift(weight, bias, mean, variance, epsilon)
    if x.rank == 4:
        return Value(x.image * factor + shift, channels_last=True), None, None
    shape = [1, -1, *[1] * (x.rank - 2)]
    return Value(x.plain * tf.reshape(factor, shape) + tf.reshape(shift, shape)), None, None


def _factor_and_shift(
    weight: Value | None, bias: Value | None, mean: Value, variance: Value, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the factor and the shift of each channel, both (c,), for a batch norm with fixed statistics."""
    factor = tf.math.rsqrt(variance.plain + epsilon)
    if weight is not None:
        factor *= weight.plain
    shift = -mean.plain * factor
    return factor, shift if bias is None else shift + bias.plain


def max_pool(
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Value, None]:
    """Computes `aten.max_pool2d_with_indices` without its second result, the indices."""
    size, step, given = _pair(kernel), _pair(stride or kernel), _pair(padding)
    if tuple(_pair(dilation)) != (1, 1):
        raise NotImplementedError("max pooling with a dilation")
    margins = _pool_margins(x, size, step, given, ceil_mode)
    padded = _padding(x.image, size, step, margins)
    return Value(tf.nn.max_pool2d(x.image, size, step, padded), channels_last=True), None


def average_pool(
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Computes `aten.avg_pool2d`. The divisor of each window is computed once, when the network is built."""
    size, step, given = _pair(kernel), _pair(stride or kernel), _pair(padding)
    margins = _pool_margins(x, size, step, given, ceil_mode)
    images = tf.pad(x.image, [[0, 0], *map(list, margins), [0, 0]]) if np.any(margins) else x.image
    averages = tf.nn.avg_pool2d(images, size, step, "VALID")
    lengths, outputs = x.image.shape[1:3], averages.shape[1:3]
    counts = [
        _counts(lengths[axis], size[axis], step[axis], given[axis], outputs[axis], count_include_pad)
        for axis in (0, 1)
    ]
    divisors = np.outer(*counts) if divisor_override is None else np.float64(divisor_override)
    factors = math.prod(size) / divisors
    if np.all(factors == 1):
        return Value(averages, channels_last=True)
    return Value(averages * np.asarray(factors, np.float32)[..., None], channels_last=True)


def _counts(length: int, size: int, step: int, given: int, outputs: int, with_padding: bool) -> np.ndarray:
    """Returns how many elements of an axis each averaging window covers."""
    starts = np.arange(outputs) * step - given
    ends = np.minimum(starts + size, length + given)
    if not with_padding:
        starts, ends = np.maximum(starts, 0), np.minimum(ends, length)
    return ends - starts


def _pool_margins(
    x: Value, size: Sequence[int], step: Sequence[int], given: Sequence[int], ceil_mode: bool
) -> Margins:
    """Returns the padding on each side. With `ceil_mode` it includes what the last window lacks."""
    margins = []
    for length, width, stride, pad in zip(x.image.shape[1:3], size, step, given, strict=True):
        room = length + 2 * pad - width
        count = -(-room // stride) if ceil_mode else room // stride
        # A window must begin inside the picture or inside the padding before it.
        if ceil_mode and count * stride >= length + pad:
            count -= 1
        margins.append((pad, pad + max(count * stride - room, 0)))
    return tuple(margins)


def _pair(values: Sequence[int] | int) -> list[int]:
    values = [values] if isinstance(values, int) else list(values)
    return values * 2 if len(values) == 1 else values


def adaptive_average_pool(x: Value, output_size: Sequence[int]) -> Value:
    """Computes `aten._adaptive_avg_pool2d`. A separate matrix averages each axis."""
    height, width = (
        _adaptive_matrix(length, outputs)
        for length, outputs in zip(x.image.shape[1:3], _pair(output_size), strict=True)
    )
    return Value(tf.einsum("nhwc,yh,xw->nyxc", x.image, height, width), channels_last=True)


def _adaptive_matrix(length: int, outputs: int) -> np.ndarray:
    """Returns (outputs, length). The windows begin at floor(i l / o) and end at ceil((i + 1) l / o)."""
    matrix = np.zeros((outputs, length), np.float32)
    for row in range(outputs):
        start, end = row * length // outputs, -(-(row + 1) * length // outputs)
        matrix[row, start:end] = 1 / (end - start)
    return matrix


def adaptive_max_pool(x: Value, output_size: Sequence[int]) -> tuple[Value, None]:
    """Computes `aten.adaptive_max_pool2d`. It cuts out the windows one by one."""
    rows = x.image
    for axis, outputs in ((1, _pair(output_size)[0]), (2, _pair(output_size)[1])):
        length = rows.shape[axis]
        windows = [(row * length // outputs, -(-(row + 1) * length // outputs)) for row in range(outputs)]
        picked = [tf.gather(rows, range(start, end), axis=axis) for start, end in windows]
        rows = tf.concat([tf.reduce_max(part, axis=axis, keepdims=True) for part in picked], axis=axis)
    return Value(rows, channels_last=True), None


CONVOLUTIONS: dict[str, Callable[..., Any]] = {
    "aten.convolution.default": convolve,
    "aten._native_batch_norm_legit_no_training.default": batch_norm,
    "aten.max_pool2d_with_indices.default": max_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten._adaptive_avg_pool2d.default": adaptive_average_pool,
    "aten.adaptive_max_pool2d.default": adaptive_max_pool,
}
"""PyTorch's name of each operation to what computes it."""
