"""Converts dense layers, matrix products, attention, and normalisation over the last axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.backbones.torch_source.value import Kernel, Value, tensor_of


def linear(x: Value, weight: Value, bias: Value | None = None) -> Value:
    """Computes `aten.linear`, from (..., in) to (..., out), as one product of two matrices."""
    kernel = weight.plain if isinstance(weight, Kernel) else tf.transpose(weight.plain)
    given = x.plain
    rows = given if given.shape.rank == 2 else tf.reshape(given, (-1, kernel.shape[0]))
    result = tf.matmul(rows, kernel)
    if bias is not None:
        result = tf.nn.bias_add(result, bias.plain)
    if given.shape.rank != 2:
        result = tf.reshape(result, _sizes(given, kernel.shape[1]))
    return Value(result)


def _sizes(given: tf.Tensor, last: int) -> Any:
    """Returns a tensor's shape with another last axis. TensorFlow works out one unknown size."""
    sizes = given.shape.as_list()[:-1]
    if sizes.count(None) > 1:
        return tf.concat([tf.shape(given)[:-1], [last]], axis=0)
    return [-1 if size is None else size for size in sizes] + [last]


def _matmul(x: Value, y: Value) -> Value:
    left, right = x.plain, y.plain
    if left.shape.rank == 1 or right.shape.rank == 1:
        return Value(tf.linalg.matvec(left, right) if left.shape.rank > 1 else tf.tensordot(left, right, 1))
    return Value(tf.matmul(left, right))


def _addmm(bias: Value, x: Value, y: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    return Value(beta * bias.plain + alpha * tf.matmul(x.plain, y.plain))


def _einsum(equation: str, operands: Sequence[Value], path: object = None) -> Value:  # noqa: ARG001
    return Value(tf.einsum(equation, *map(tensor_of, operands)))


def attention(
    query: Value,
    key: Value,
    value: Value,
    mask: Value | None = None,
    dropout: float = 0.0,  # noqa: ARG001
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Computes `aten.scaled_dot_product_attention` (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762).

    Args:
        query: (..., l, d).
        key: (..., s, d).
        value: (..., s, v).
        mask: broadcasts to (..., l, s). True where a position is attended to, or a number that is added.
        dropout: has no effect at inference.
        is_causal: whether a position attends only to itself and to earlier ones.
        scale: by default 1 / sqrt(d).
        enable_gqa: not supported.
    """
    if enable_gqa:
        raise NotImplementedError("attention with grouped queries")
    queries = query.plain
    factor = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale
    scores = tf.matmul(queries * factor, key.plain, transpose_b=True)
    if is_causal:
        seen = np.tril(np.ones(scores.shape[-2:], bool))
        scores = tf.where(seen, scores, scores.dtype.min)
    if mask is not None:
        given = mask.plain
        scores = tf.where(given, scores, scores.dtype.min) if given.dtype == tf.bool else scores + given
    return Value(tf.matmul(tf.nn.softmax(scores), value.plain))


def layer_norm(
    x: Value,
    shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    epsilon: float = 1e-5,
    _cudnn: bool = True,
) -> Value:
    """Computes `aten.layer_norm` over the last axes, as many as `shape` has."""
    given = x.plain
    axes = list(range(given.shape.rank - len(shape), given.shape.rank))
    mean, variance = tf.nn.moments(given, axes, keepdims=True)
    offset, scale = (None if part is None else part.plain for part in (bias, weight))
    return Value(tf.nn.batch_normalization(given, mean, variance, offset, scale, epsilon))


def group_norm(
    x: Value,
    groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    epsilon: float = 1e-5,
    _cudnn: bool = True,
) -> Value:
    """Computes `aten.group_norm` over (n, c, h, w), stored with the channels last."""
    if x.rank != 4:
        raise NotImplementedError("group normalisation of anything but pictures")
    given = x.image
    height, width, channels = given.shape[1:]
    parts = tf.reshape(given, (-1, height, width, groups, channels // groups))
    mean, variance = tf.nn.moments(parts, (1, 2, 4), keepdims=True)
    normalised = tf.nn.batch_normalization(parts, mean, variance, None, None, epsilon)
    result = tf.reshape(normalised, (-1, height, width, channels))
    if weight is not None:
        result *= weight.plain
    return Value(result if bias is None else result + bias.plain, channels_last=True)


def _instance_norm(
    x: Value,
    weight: Value | None,
    bias: Value | None,
    _mean: Value | None,
    _variance: Value | None,
    by_input: bool,
    _momentum: float,
    epsilon: float,
    _cudnn: bool,
) -> Value:
    if not by_input:
        raise NotImplementedError("instance normalisation by learnt statistics")
    return group_norm(x, int(x.image.shape[3]), weight, bias, epsilon)


def _softmax(x: Value, axis: int, _half: object = None, **_options: Any) -> Value:
    return x.like(tf.nn.softmax(x.held, x.axis(axis)))


def _log_softmax(x: Value, axis: int, _half: object = None, **_options: Any) -> Value:
    return x.like(tf.nn.log_softmax(x.held, x.axis(axis)))


MATRICES: dict[str, Callable[..., Any]] = {
    "aten.linear.default": linear,
    "aten.matmul.default": _matmul,
    "aten.mm.default": _matmul,
    "aten.bmm.default": _matmul,
    "aten.addmm.default": _addmm,
    "aten.einsum.default": _einsum,
    "aten.scaled_dot_product_attention.default": attention,
    "aten.layer_norm.default": layer_norm,
    "aten.group_norm.default": group_norm,
    "aten.instance_norm.default": _instance_norm,
    "aten._softmax.default": _softmax,
    "aten.softmax.int": _softmax,
    "aten._log_softmax.default": _log_softmax,
    "aten.log_softmax.int": _log_softmax,
}
"""PyTorch's name of each operation to what computes it."""
