"""Converts means, sums and extremes over axes, and the resizing of pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.backbones.torch_source.value import Value


def over(function: Callable[..., tf.Tensor]) -> Callable[..., Value]:
    """Returns a reduction over some of PyTorch's axes, by default over all."""

    def operation(
        x: Value, axes: Sequence[int] | int | None = None, keep: bool = False, **_options: Any
    ) -> Value:
        axes = [axes] if isinstance(axes, int) else list(axes or range(x.rank))
        places = sorted(x.axis(axis) for axis in axes)
        if keep:
            return x.like(function(x.held, axis=places, keepdims=True))
        left = [place for place in range(x.rank) if place not in places]
        in_order = not x.channels_last or 3 not in left or left in ([0, 3], [3])
        if in_order:
            return Value(function(x.held, axis=places))
        return Value(function(x.plain, axis=[axis % x.rank for axis in axes]))

    return operation


def _variance(
    x: Value, axes: Sequence[int] | None = None, *, correction: float = 1, keepdim: bool = False
) -> Value:
    axes = [axis % x.rank for axis in (axes or range(x.rank))]
    count = math.prod(int(x.shape[axis] or 0) for axis in axes)
    variance = tf.math.reduce_variance(x.plain, axes, keepdims=keepdim)
    return Value(variance * tf.cast(count / (count - correction), variance.dtype))


def _norm(x: Value, power: float = 2, axes: Sequence[int] | None = None, keep: bool = False) -> Value:
    axes = [axis % x.rank for axis in (axes or range(x.rank))]
    return Value(tf.norm(x.plain, ord=power, axis=axes if len(axes) > 1 else axes[0], keepdims=keep))


def _nearest(x: Value, size: Sequence[int] | None, scales: Sequence[float] | None = None) -> Value:
    rows, columns = _new_size(x, size, scales)
    height, width = x.image.shape[1:3]
    down = np.arange(rows) * height // rows
    across = np.arange(columns) * width // columns
    return Value(tf.gather(tf.gather(x.image, down, axis=1), across, axis=2), channels_last=True)


def _bilinear(
    x: Value, size: Sequence[int] | None, align_corners: bool, scales: Sequence[float] | None = None
) -> Value:
    rows, columns = _new_size(x, size, scales)
    height, width = x.image.shape[1:3]
    down = _interpolation(height, rows, align_corners, scales[0] if scales else None)
    across = _interpolation(width, columns, align_corners, scales[1] if scales else None)
    return Value(tf.einsum("nhwc,yh,xw->nyxc", x.image, down, across), channels_last=True)


def _new_size(x: Value, size: Sequence[int] | None, scales: Sequence[float] | None) -> list[int]:
    if size is not None:
        return list(size)
    return [int(length * scale) for length, scale in zip(x.image.shape[1:3], scales or (), strict=True)]


def _interpolation(length: int, outputs: int, align_corners: bool, scale: float | None) -> np.ndarray:
    """Returns (outputs, length) weights. Each new position lies between two old ones."""
    if align_corners:
        places = np.arange(outputs) * ((length - 1) / max(outputs - 1, 1))
    else:
        step = 1 / scale if scale else length / outputs
        places = np.maximum((np.arange(outputs) + 0.5) * step - 0.5, 0)
    before = np.minimum(places.astype(int), length - 1)
    share = places - before
    matrix = np.zeros((outputs, length), np.float32)
    matrix[np.arange(outputs), before] += 1 - share
    matrix[np.arange(outputs), np.minimum(before + 1, length - 1)] += share
    return matrix


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "aten.mean.dim": over(tf.reduce_mean),
    "aten.mean.default": over(tf.reduce_mean),
    "aten.sum.dim_IntList": over(tf.reduce_sum),
    "aten.sum.default": over(tf.reduce_sum),
    "aten.amax.default": over(tf.reduce_max),
    "aten.amin.default": over(tf.reduce_min),
    "aten.max.dim": lambda x, axis, keep=False: (over(tf.reduce_max)(x, axis, keep), None),
    "aten.var.correction": _variance,
    "aten.linalg_vector_norm.default": _norm,
    "aten.upsample_nearest2d.vec": _nearest,
    "aten.upsample_bilinear2d.vec": _bilinear,
}
"""PyTorch's name of each operation to what computes it."""
