"""Converts operations that reshape, join and cut tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.backbones.torch_source.value import (
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    Value,
    as_shape,
    tensor_of,
)


def reshape(x: Value, sizes: Sequence[Any]) -> Value:
    """Computes `aten.view`. For pictures of one pixel, the channels are already in PyTorch's order."""
    if x.channels_last and x.shape[2:] == [1, 1]:
        return Value(tf.reshape(x.image, as_shape(sizes)))
    return Value(tf.reshape(x.plain, as_shape(sizes)))


def permute(x: Value, axes: Sequence[int]) -> Value:
    """Computes `aten.permute`. If it only moves the channels, no data is moved."""
    order = tuple(axis % x.rank for axis in axes)
    if x.channels_last and order == TO_CHANNELS_LAST:
        return Value(x.image)
    if not x.channels_last and order == TO_CHANNELS_FIRST:
        return Value(x.plain, channels_last=True)
    return Value(tf.transpose(x.plain, order))


def _transpose(x: Value, first: int, second: int) -> Value:
    order = list(range(x.rank))
    order[first], order[second] = order[second], order[first]
    return permute(x, order)


def _unsqueeze(x: Value, axis: int) -> Value:
    return Value(tf.expand_dims(x.plain, axis))


def _squeeze(x: Value, axes: Sequence[int] | int) -> Value:
    axes = [axes] if isinstance(axes, int) else axes
    single = [axis % x.rank for axis in axes if x.shape[axis] == 1]
    return Value(tf.squeeze(x.plain, single)) if single else x


def _expand(x: Value, sizes: Sequence[Any], implicit: bool = False) -> Value:  # noqa: ARG001
    given = x.plain
    own = [1] * (len(sizes) - x.rank) + given.shape.as_list()
    shape = tf.shape(given)
    lead = len(sizes) - x.rank
    wanted = [
        (shape[axis - lead] if mine is None else mine) if isinstance(size, int) and size == -1 else size
        for axis, (size, mine) in enumerate(zip(sizes, own, strict=True))
    ]
    if all(isinstance(size, int) for size in wanted):
        return Value(tf.broadcast_to(given, wanted))
    return Value(tf.broadcast_to(given, tf.stack([tf.cast(tensor_of(size), tf.int32) for size in wanted])))


def _repeat(x: Value, counts: Sequence[Any]) -> Value:
    given = tf.reshape(x.plain, tf.concat([[1] * (len(counts) - x.rank), tf.shape(x.plain)], axis=0))
    return Value(tf.tile(given, tf.stack([tf.cast(tensor_of(count), tf.int32) for count in counts])))


def _concatenate(values: Sequence[Value], axis: int = 0) -> Value:
    # PyTorch still joins empty vectors to any tensor. They add nothing.
    values = [value for value in values if value.shape != [0]]
    if values[0].rank == 4 and any(value.channels_last for value in values):
        joined = Value(values[0].image, channels_last=True)
        return joined.like(tf.concat([value.image for value in values], joined.axis(axis)))
    return Value(tf.concat([value.plain for value in values], axis))


def _stack(values: Sequence[Value], axis: int = 0) -> Value:
    return Value(tf.stack([value.plain for value in values], axis))


def _slice(x: Value, axis: int = 0, start: object = None, end: object = None, step: int = 1) -> Value:
    place = x.axis(axis)
    begin = None if start in (None, 0) else tensor_of(start)
    stop = None if end is None or (isinstance(end, int) and end >= np.iinfo(np.int64).max) else tensor_of(end)
    if begin is None and stop is None and step == 1:
        return x
    window = [slice(None)] * place + [slice(begin, stop, step)]
    return x.like(x.held[tuple(window)])


def _select(x: Value, axis: int, index: int) -> Value:
    window = (slice(None),) * (axis % x.rank) + (index,)
    return Value(x.plain[window])


def _split(x: Value, sizes: Sequence[int] | int, axis: int = 0) -> list[Value]:
    place = x.axis(axis)
    length = x.held.shape[place]
    if isinstance(sizes, int):
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    return [x.like(part) for part in tf.split(x.held, list(sizes), place)]


def _chunk(x: Value, count: int, axis: int = 0) -> list[Value]:
    return _split(x, -(-x.held.shape[x.axis(axis)] // count), axis)


def _unbind(x: Value, axis: int = 0) -> list[Value]:
    return [Value(part) for part in tf.unstack(x.plain, axis=axis)]


def _flip(x: Value, axes: Sequence[int]) -> Value:
    return x.like(tf.reverse(x.held, [x.axis(axis) for axis in axes]))


def _roll(x: Value, shifts: Sequence[int], axes: Sequence[int] = ()) -> Value:
    if not axes:
        raise NotImplementedError("rolling without axes")
    return x.like(tf.roll(x.held, list(shifts), [x.axis(axis) for axis in axes]))


def _index(x: Value, indices: Sequence[Value | None]) -> Value:
    """Computes `aten.index` with one integer tensor. The other axes are kept whole."""
    given = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(given) != 1 or given[0][1].plain.dtype == tf.bool:
        raise NotImplementedError("indexing by several tensors or by a mask")
    axis, index = given[0]
    return _index_select(x, axis, index)


def _index_select(x: Value, axis: int, index: Value) -> Value:
    given = x.plain
    length = tf.cast(tf.shape(given)[axis], index.plain.dtype)
    return Value(tf.gather(given, tf.math.floormod(index.plain, length), axis=axis))


def pad(x: Value, sizes: Sequence[int], fill: float = 0.0) -> Value:
    """Computes `aten.constant_pad_nd`. The sizes are before and after each axis, from the last axis on."""
    margins = _margins(x, sizes)
    if any(side < 0 for margin in margins for side in margin):
        cut = [slice(max(-before, 0), -max(-after, 0) or None) for before, after in margins]
        margins = [[max(before, 0), max(after, 0)] for before, after in margins]
        return x.like(tf.pad(x.held[tuple(cut)], margins, constant_values=fill))
    return x.like(tf.pad(x.held, margins, constant_values=fill))


def _mirror(x: Value, sizes: Sequence[int]) -> Value:
    return x.like(tf.pad(x.held, _margins(x, sizes), "REFLECT"))


def _margins(x: Value, sizes: Sequence[int]) -> list[list[int]]:
    margins = [[0, 0] for _ in range(x.rank)]
    for number in range(len(sizes) // 2):
        margins[x.axis(-1 - number)] = [sizes[2 * number], sizes[2 * number + 1]]
    return margins


def _pixel_shuffle(x: Value, factor: int) -> Value:
    height, width, channels = x.image.shape[1:]
    parts = tf.reshape(x.image, (-1, height, width, channels // factor**2, factor, factor))
    spread = tf.transpose(parts, (0, 1, 4, 2, 5, 3))
    size = (-1, height * factor, width * factor, channels // factor**2)
    return Value(tf.reshape(spread, size), channels_last=True)


def _full(sizes: Sequence[Any], value: object, dtype: tf.DType | None = None) -> Value:
    filled = tf.convert_to_tensor(value) if dtype is None else tf.cast(value, dtype)
    if filled.dtype == tf.float64:
        filled = tf.cast(filled, tf.float32)
    shape = [tf.cast(tensor_of(size), tf.int32) for size in sizes]
    return Value(tf.fill(tf.stack(shape) if shape else [], filled))


def _arange(*bounds: Any, dtype: tf.DType | None = None) -> Value:
    whole = all(isinstance(bound, int) for bound in bounds)
    return Value(tf.cast(tf.range(*bounds), dtype or (tf.int64 if whole else tf.float32)))


def _as_it_is(x: Value, *_arguments: Any, **_options: Any) -> Value:
    return x


SHAPES: dict[str, Callable[..., Any]] = {
    **{
        f"aten.{name}.default": _as_it_is
        for name in ("clone", "contiguous", "alias", "detach", "detach_", "dropout", "lift_fresh_copy")
    },
    **{f"aten.{name}.default": reshape for name in ("view", "reshape", "_unsafe_view")},
    "aten.permute.default": permute,
    "aten.transpose.int": _transpose,
    "aten.t.default": lambda x: _transpose(x, 0, 1),
    "aten.unsqueeze.default": _unsqueeze,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.expand.default": _expand,
    "aten.repeat.default": _repeat,
    "aten.cat.default": _concatenate,
    "aten.stack.default": _stack,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "aten.split.Tensor": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _chunk,
    "aten.unbind.int": _unbind,
    "aten.flip.default": _flip,
    "aten.roll.default": _roll,
    "aten.index.Tensor": _index,
    "aten.index_select.default": _index_select,
    "aten.constant_pad_nd.default": pad,
    "aten.reflection_pad2d.default": _mirror,
    "aten.pixel_shuffle.default": _pixel_shuffle,
    "aten.full.default": _full,
    "aten.zeros.default": lambda sizes, dtype=None: _full(sizes, 0, dtype or tf.float32),
    "aten.ones.default": lambda sizes, dtype=None: _full(sizes, 1, dtype or tf.float32),
    "aten.scalar_tensor.default": lambda value, dtype=None: _full([], value, dtype),
    "aten.arange.default": _arange,
    "aten.arange.start": _arange,
    "aten.arange.start_step": _arange,
}
"""PyTorch's name of each operation to what computes it."""
