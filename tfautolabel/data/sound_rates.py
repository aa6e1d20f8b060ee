"""Sound brought to a lower rate block by block, as the graphs do it (preprocessors/sounds/resample.py).

The filter is a sinc under a Kaiser window, evaluated at exactly the output's times (J. O. Smith, Digital
Audio Resampling, https://ccrma.stanford.edu/~jos/resample/).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

ZEROS = 32
"""Zero crossings of the sinc on each side."""

ROLLOFF = 0.92
"""The filter's corner, as a share of the lower of the two Nyquist frequencies."""

BETA = 10.0
"""Of the Kaiser window: about 100 dB between what passes and what does not."""

MAX_PHASES = 640
"""More phases than this are not worth a kernel."""

MAX_WEIGHTS = 1 << 20
"""Nor are kernels of more weights; no usual rate needs them."""

_AT_ONCE = 1 << 20
"""Samples, repeated for each frame that they lie in, that are multiplied at a time."""


def can_lower(rate: int, target: int) -> bool:
    """Whether a `RateLowering` takes sound from one rate to the other: to a lower one, by a usual ratio."""
    if not rate > target > 0:
        return False
    up, down = _ratio(rate, target)
    return up <= MAX_PHASES and up * (down + 2 * _reach(up, down) + 1) <= MAX_WEIGHTS


class RateLowering:
    """Takes one channel to a lower rate; the blocks' outputs together are those of the whole.

    Args:
        rate: samples a second that come.
        target: samples a second wanted; see `can_lower`.
    """

    def __init__(self, rate: int, target: int) -> None:
        self._up, self._down = _ratio(rate, target)
        reach = _reach(self._up, self._down)
        # Short steps are taken several at a time: one matrix product then makes more of each frame.
        together = max(1, -(-2 * reach // self._down))
        self._step = self._down * together
        self._kernel = _kernel(self._up, self._down, together)
        self._held = np.zeros(reach, np.float32)
        self._taken = self._given = 0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """What is certain once more samples are known.

        Args:
            samples: (t,) float32.

        Returns:
            (u,) float32, the next outputs.
        """
        self._taken += len(samples)
        buffer = np.concatenate([self._held, samples])
        width = len(self._kernel)
        steps = max((len(buffer) - width) // self._step + 1, 0)
        self._held = buffer[steps * self._step :].copy()
        outputs = self._outputs(buffer, steps)
        self._given += len(outputs)
        return outputs

    def end(self) -> np.ndarray:
        """(u,) float32, the last outputs: silence follows the last sample."""
        missing = -(-self._taken * self._up // self._down) - self._given
        steps = -(-missing // self._kernel.shape[1])
        whole = (steps - 1) * self._step + len(self._kernel)
        buffer = np.pad(self._held, (0, max(whole - len(self._held), 0)))
        return self._outputs(buffer, steps)[:missing]

    def _outputs(self, buffer: np.ndarray, steps: int) -> np.ndarray:
        width, per_step = self._kernel.shape
        outputs = np.empty((steps, per_step), np.float32)
        if steps:
            frames = np.lib.stride_tricks.sliding_window_view(buffer, width)[:: self._step]
            some = max(_AT_ONCE // width, 1)
            for start in range(0, steps, some):
                stop = min(start + some, steps)
                np.matmul(frames[start:stop], self._kernel, out=outputs[start:stop])
        return outputs.reshape(-1)


def _ratio(rate: int, target: int) -> tuple[int, int]:
    divisor = math.gcd(rate, target)
    return target // divisor, rate // divisor


def _reach(up: int, down: int) -> int:
    """How many input samples the filter takes on each side."""
    return math.ceil(ZEROS / (ROLLOFF * min(1.0, up / down)))


@lru_cache(maxsize=8)
def _kernel(up: int, down: int, together: int) -> np.ndarray:
    """(width, up * together) float32: the weights of each input of a frame for each of its outputs."""
    reach, corner = _reach(up, down), ROLLOFF * min(1.0, up / down)
    times = np.arange(up * together) * (down / up)
    places = np.arange(down * together + 2 * reach + 1) - reach
    distance = times[None] - places[:, None]
    inside = 1.0 - np.square(distance / reach)
    window = np.i0(BETA * np.sqrt(np.maximum(inside, 0.0))) / np.i0(BETA)
    kernel = np.where(inside > 0, corner * np.sinc(corner * distance) * window, 0.0).astype(np.float32)
    kernel.setflags(write=False)
    return kernel
