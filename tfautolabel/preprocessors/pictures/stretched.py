"""Stretches single pictures to squares outside a graph, to the same numbers as `image_formats.stretch` in it.

Pictures up to twice the side are sampled bilinearly, by TensorFlow's own kernel. Larger ones are filtered by
two sparse matrices, first over the rows and then over the columns, with 32 bits and sums in the order of
TensorFlow's kernel (ScaleAndTranslate). So each sum is rounded alike, and takes about a third of the time.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.sparse
import tensorflow as tf

_LINE = 64
"""Bytes of a cache line. TensorFlow takes over no memory that begins elsewhere."""

_NUMBERS = 3 * 128
"""Numbers of each row that are filtered at a time, few enough for the processor's cache: a quarter faster."""

_KEPT = 512
"""Matrices that stay in memory, each of some 10 KB."""


class Stretcher:
    """Stretches pictures to squares. For one thread, because it keeps its memory.

    TensorFlow runs on the device that is current, which must be the CPU.

    Args:
        size: side of the squares in pixels.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._shape = tf.constant([size, size])
        self._memory = [_aligned(0), _aligned(0)]

    def __call__(self, rgb: np.ndarray, square: np.ndarray) -> None:
        """Stretches a picture.

        Args:
            rgb: (h, w, 3) uint8.
            square: (size, size, 3) float32, contiguous. It is filled with values in [0, 255].
        """
        if rgb.shape == square.shape:
            square[...] = rgb
        elif max(rgb.shape) > 2 * self._size:
            self._filter(rgb, square)
        else:
            self._sample(rgb, square)

    def _sample(self, rgb: np.ndarray, square: np.ndarray) -> None:
        pixels = self._memory_for(0, rgb.size).reshape(1, *rgb.shape)
        pixels[0] = rgb
        # A tensor in the same memory. A copy, in new memory each time, would take longer than the kernel.
        tensor = tf.experimental.dlpack.from_dlpack(pixels.__dlpack__())
        # `tf.image.resize` calls the same kernel and takes a tenth of a millisecond more.
        found = tf.raw_ops.ResizeBilinear(images=tensor, size=self._shape, half_pixel_centers=True)
        square[...] = np.asarray(memoryview(found))[0]

    def _filter(self, rgb: np.ndarray, square: np.ndarray) -> None:
        high, wide, _ = rgb.shape
        size, down = self._size, _pitch(self._size)
        by_rows, by_columns = triangle_filter(high, size), triangle_filter(wide, size)
        rows = rgb.reshape(high, 3 * wide)
        turned = self._memory_for(1, 3 * wide * down).reshape(3 * wide, down)
        for left in range(0, 3 * wide, _NUMBERS):
            some = rows[:, left : left + _NUMBERS]
            count, across = some.shape[1], _pitch(some.shape[1])
            floats = self._memory_for(0, high * across).reshape(high, across)
            floats[:, :count] = some
            # Transposed number by number, which takes half as long as pixel by pixel.
            turned[left : left + count, :size] = (by_rows @ floats)[:, :count].T
        stretched = by_columns @ turned.reshape(wide, 3 * down)
        square.reshape(size, 3 * size)[...] = stretched.reshape(3 * size, down)[:, :size].T
        # The filter's weights do not add up to exactly one, which is visible in white pictures.
        np.clip(square, 0.0, 255.0, out=square)

    def _memory_for(self, place: int, count: int) -> np.ndarray:
        """Returns `count` floats, the same ones in each call for a place: new memory is slow at first."""
        if self._memory[place].size < count:
            self._memory[place] = _aligned(count)
        return self._memory[place][:count]


@functools.lru_cache(maxsize=_KEPT)
def triangle_filter(length: int, size: int) -> scipy.sparse.csr_array:
    """Returns the matrix of `tf.image.resize(..., antialias=True)` along one axis.

    The weights fall linearly to zero at a distance of one pixel of the result, or of the picture if it is
    smaller. All steps are rounded to 32 bits as in TensorFlow.

    Args:
        length: pixels of the picture along the axis, at least 1.
        size: pixels of the result, at least 1.

    Returns:
        (size, length) float32. Each row sums to about one.
    """
    one, half = np.float32(1), np.float32(0.5)
    step = one / (np.float32(size) / np.float32(length))
    reach = max(step, one)
    centre = (np.arange(size, dtype=np.float32) + half) * step
    first = np.clip(np.ceil(centre - reach - half), 0, length - 1).astype(np.int64)
    last = np.clip(np.floor(centre + reach - half), 0, length - 1).astype(np.int64)
    taken = first[:, None] + np.arange((last - first).max() + 1)
    inside = taken <= last[:, None]
    distance = np.abs((taken.astype(np.float32) + half - centre[:, None]) * (one / reach))
    weights = np.where(inside, np.maximum(one - distance, np.float32(0)), np.float32(0))
    total = np.zeros(size, np.float32)
    for column in weights.T:  # one after the other, because NumPy's sum has another order
        total += column
    weights *= (one / total)[:, None]
    ends = np.concatenate([[0], np.cumsum(inside.sum(axis=1))])
    return scipy.sparse.csr_array((weights[inside], taken[inside], ends), shape=(size, length))


def _pitch(count: int) -> int:
    """Returns a length of at least `count` floats that is an odd number of cache lines.

    With an even one, the numbers of a column would share few places of the cache.
    """
    return (-(-4 * count // _LINE) // 2 * 2 + 1) * _LINE // 4


def _aligned(count: int) -> np.ndarray:
    """Returns `count` floats, zeros, from the beginning of a cache line."""
    memory = np.zeros(4 * count + _LINE, np.uint8)
    start = -memory.ctypes.data % _LINE
    return memory[start : start + 4 * count].view(np.float32)
