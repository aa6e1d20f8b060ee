"""A tensor during conversion from PyTorch to TensorFlow. It knows where its channels are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

TO_CHANNELS_LAST = (0, 2, 3, 1)
TO_CHANNELS_FIRST = (0, 3, 1, 2)

AXES = (0, 3, 1, 2)
"""The positions of PyTorch's axes (n, c, h, w) in a tensor with the channels last."""


class Value:
    """A tensor that is (n, c, h, w) in PyTorch and may be stored as (n, h, w, c).

    TensorFlow convolves with the channels last, PyTorch with the channels first. So the result of a
    convolution is stored with the channels last, as long as the next operations allow that. It is transposed
    only where an operation needs PyTorch's order.

    Args:
        tensor: the stored tensor.
        channels_last: whether it is stored as (n, h, w, c).
    """

    def __init__(self, tensor: object, channels_last: bool = False) -> None:
        self._plain = None if channels_last else tensor
        self._image = tensor if channels_last else None
        self.channels_last = channels_last

    @property
    def plain(self) -> tf.Tensor:
        """Returns the tensor in PyTorch's order."""
        if self._plain is None:
            self._plain = tf.transpose(self._image, TO_CHANNELS_FIRST)
        return self._plain

    @property
    def image(self) -> tf.Tensor:
        """Returns a tensor of four axes as (n, h, w, c)."""
        if self._image is None:
            self._image = tf.transpose(self._plain, TO_CHANNELS_LAST)
        return self._image

    @property
    def held(self) -> tf.Tensor:
        """Returns the tensor in the order in which it is stored."""
        return self.image if self.channels_last else self.plain

    @property
    def rank(self) -> int:
        """Returns the number of axes."""
        rank: int = self.held.shape.rank
        return rank

    @property
    def shape(self) -> list[int | None]:
        """Returns the shape in PyTorch's order, with None for unknown sizes."""
        held = self.held.shape.as_list()
        return [held[axis] for axis in AXES] if self.channels_last else held

    def like(self, tensor: tf.Tensor) -> Value:
        """Wraps another tensor that is stored in the same order."""
        return Value(tensor, self.channels_last)

    def axis(self, axis: int) -> int:
        """Returns where one of PyTorch's axes is in the stored tensor. Negative axes count from the end."""
        axis %= max(self.rank, 1)
        return AXES[axis] if self.channels_last else axis


class Kernel(Value):
    """A weight that is kept in TensorFlow's order for the one operation that uses it.

    Args:
        tensor: (height, width, in, out) of a convolution, (height, width, in, multiplier) of a depthwise
            one, or (in, out) of a dense layer.
    """


def tensor_of(value: object) -> Any:
    """Returns an argument in PyTorch's order. Numbers stay as they are."""
    return value.plain if isinstance(value, Value) else value


def together(values: Sequence[Any]) -> tuple[list[Any], bool]:
    """Brings the arguments of an element-wise operation into one axis order.

    Args:
        values: `Value`s and numbers.

    Returns:
        Tensors and numbers, and whether the tensors have their channels last.
    """
    given = [value for value in values if isinstance(value, Value)]
    if not any(value.channels_last for value in given):
        return [tensor_of(value) for value in values], False
    if any(value.rank > 4 for value in given):
        return [tensor_of(value) for value in values], False
    return [_channels_last(value) if isinstance(value, Value) else value for value in values], True


def _channels_last(value: Value) -> tf.Tensor:
    """Returns a tensor that broadcasts against (n, h, w, c) as the given one does against (n, c, h, w)."""
    if value.rank == 4:
        return value.image
    if value.rank == 0:
        return value.plain
    missing = 4 - value.rank
    return tf.transpose(value.plain[(tf.newaxis,) * missing], TO_CHANNELS_LAST)


def as_shape(sizes: Sequence[Any]) -> Any:
    """Returns sizes for `tf.reshape`. TensorFlow works out the one that is only known at run time."""
    sizes = [size if isinstance(size, int) else tensor_of(size) for size in sizes]
    open_sizes = [place for place, size in enumerate(sizes) if not isinstance(size, int)]
    free = [size for size in sizes if isinstance(size, int) and size == -1]
    if len(open_sizes) == 1 and not free:
        sizes[open_sizes[0]] = -1
        open_sizes = []
    return sizes if not open_sizes else tf.stack([tf.cast(size, tf.int32) for size in sizes])
