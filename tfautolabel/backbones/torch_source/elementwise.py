"""Converts operations that work element by element and broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfautolabel.backbones.torch_source.value import Value, together


def each(function: Callable[..., Any]) -> Callable[..., Value]:
    """Turns a function of tensors and numbers into one of `Value`s, with PyTorch's rules for broadcasting."""

    def operation(*arguments: Any, **options: Any) -> Value:
        tensors, channels_last = together(arguments)
        return Value(function(*tensors, **options), channels_last)

    return operation


def same_type(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wraps a function of two tensors or numbers so that both are first converted to one type."""

    def operation(x: Any, y: Any) -> Any:
        return function(*_same_type(x, y))

    return operation


def _same_type(x: Any, y: Any) -> tuple[Any, Any]:
    tensors = [value for value in (x, y) if tf.is_tensor(value)]
    if not tensors:
        return tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    floating = [value.dtype for value in tensors if value.dtype.is_floating]
    whole = [value.dtype for value in tensors if value.dtype.is_integer]
    numbers = [value for value in (x, y) if not tf.is_tensor(value)]
    if floating:
        dtype = floating[0]
    elif any(isinstance(number, float) for number in numbers):
        dtype = tf.float32
    elif whole:
        dtype = max(whole, key=lambda kind: kind.size)
    else:
        dtype = tf.int64 if any(type(number) is int for number in numbers) else tf.bool
    return tf.cast(x, dtype), tf.cast(y, dtype)


def _add(x: Any, y: Any, alpha: float = 1) -> Any:
    x, y = _same_type(x, y)
    if x.dtype == tf.bool:
        return x | y
    return x + y if alpha == 1 else x + tf.cast(alpha, x.dtype) * y


def _subtract(x: Any, y: Any, alpha: float = 1) -> Any:
    x, y = _same_type(x, y)
    return x - y if alpha == 1 else x - tf.cast(alpha, x.dtype) * y


def _multiply(x: Any, y: Any) -> Any:
    x, y = _same_type(x, y)
    return x & y if x.dtype == tf.bool else x * y


def _divide(x: Any, y: Any, rounding_mode: str | None = None) -> Any:
    x, y = _same_type(x, y)
    if rounding_mode == "floor":
        return x // y
    if rounding_mode == "trunc":
        return tf.truncatediv(x, y) if x.dtype.is_integer else tf.cast(tf.truncatediv(x, y), x.dtype)
    return x / y if x.dtype.is_floating else tf.cast(x, tf.float32) / tf.cast(y, tf.float32)


def _power(x: Any, y: Any) -> Any:
    if y == 2 and not tf.is_tensor(y):
        return tf.square(x)
    return tf.pow(*_same_type(x, y))


def _clamp(x: Any, low: float | None = None, high: float | None = None) -> Any:
    if low == 0 and high == 6:
        return tf.nn.relu6(x)
    if low == 0 and high is None:
        return tf.nn.relu(x)
    x = x if low is None else tf.maximum(x, tf.cast(low, x.dtype))
    return x if high is None else tf.minimum(x, tf.cast(high, x.dtype))


def _hard_tanh(x: Any, low: float = -1.0, high: float = 1.0) -> Any:
    return _clamp(x, low, high)


def _hard_sigmoid(x: Any) -> Any:
    return tf.nn.relu6(x + 3.0) * (1 / 6)


def _elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
    # The branch that is not taken must stay finite. Otherwise its gradient is not a number.
    negative = alpha * tf.math.expm1(input_scale * tf.minimum(x, 0.0))
    return scale * tf.where(x > 0, x, negative)


def _softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    return tf.where(x * beta > threshold, x, tf.math.softplus(x * beta) / beta)


def _gelu(x: Any, approximate: str = "none") -> Any:
    return tf.nn.gelu(x, approximate=approximate == "tanh")


def _where(condition: Any, x: Any, y: Any) -> Any:
    return tf.where(condition, *_same_type(x, y))


def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return tf.where(mask, tf.cast(value, x.dtype), x)


def _cast(x: Any, dtype: tf.DType | None = None) -> Any:
    return x if dtype is None else tf.cast(x, dtype)


def _filled_like(x: Any, value: Any, dtype: tf.DType | None = None) -> Any:
    return tf.fill(tf.shape(x), tf.cast(value, dtype or x.dtype))


_COMPARISONS = {
    "eq": tf.equal,
    "ne": tf.not_equal,
    "gt": tf.greater,
    "ge": tf.greater_equal,
    "lt": tf.less,
    "le": tf.less_equal,
}

_PLAIN = {
    "abs": tf.abs,
    "ceil": tf.math.ceil,
    "cos": tf.cos,
    "erf": tf.math.erf,
    "exp": tf.exp,
    "expm1": tf.math.expm1,
    "floor": tf.floor,
    "log": tf.math.log,
    "log1p": tf.math.log1p,
    "logical_not": tf.logical_not,
    "mish": lambda x: x * tf.tanh(tf.math.softplus(x)),
    "neg": tf.negative,
    "reciprocal": tf.math.reciprocal,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "round": tf.round,
    "rsqrt": tf.math.rsqrt,
    "sigmoid": tf.sigmoid,
    "sign": tf.sign,
    "silu": tf.nn.silu,
    "sin": tf.sin,
    "sqrt": tf.sqrt,
    "tanh": tf.tanh,
    "hardsigmoid": _hard_sigmoid,
    "hardswish": lambda x: x * _hard_sigmoid(x),
    "leaky_relu": lambda x, slope=0.01: tf.nn.leaky_relu(x, slope),
    "hardtanh": _hard_tanh,
    "clamp": _clamp,
    "elu": _elu,
    "softplus": _softplus,
    "gelu": _gelu,
    "logical_and": tf.logical_and,
    "logical_or": tf.logical_or,
    "maximum": same_type(tf.maximum),
    "minimum": same_type(tf.minimum),
}

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{f"aten.{name}.default": each(function) for name, function in _PLAIN.items()},
    **{
        f"aten.{name}.{kind}": each(same_type(function))
        for name, function in _COMPARISONS.items()
        for kind in ("Tensor", "Scalar")
    },
    **{f"aten.add.{kind}": each(_add) for kind in ("Tensor", "Scalar")},
    **{f"aten.sub.{kind}": each(_subtract) for kind in ("Tensor", "Scalar")},
    **{f"aten.mul.{kind}": each(_multiply) for kind in ("Tensor", "Scalar")},
    **{f"aten.div.{kind}": each(_divide) for kind in ("Tensor", "Scalar", "Tensor_mode", "Scalar_mode")},
    **{f"aten.pow.{kind}": each(_power) for kind in ("Tensor_Scalar", "Tensor_Tensor", "Scalar")},
    **{f"aten.remainder.{kind}": each(same_type(tf.math.floormod)) for kind in ("Tensor", "Scalar")},
    **{f"aten.masked_fill.{kind}": each(_masked_fill) for kind in ("Tensor", "Scalar")},
    "aten.rsub.Scalar": each(lambda x, y: _subtract(y, x)),
    "aten.where.self": each(_where),
    "aten._to_copy.default": each(_cast),
    "aten.full_like.default": each(_filled_like),
    "aten.ones_like.default": each(lambda x, dtype=None: _filled_like(x, 1, dtype)),
    "aten.zeros_like.default": each(lambda x, dtype=None: _filled_like(x, 0, dtype)),
}
"""PyTorch's name of each operation to what computes it."""
