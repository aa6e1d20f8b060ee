"""Resamples sound to a lower rate block by block, as preprocessors/sounds/resample.py does in the graph.

The filter is a sinc with a Kaiser window, computed at the exact times of the output (J. O. Smith, Digital
Audio Resampling, https://ccrma.stanford.edu/~jos/resample/).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

ZEROS = 32
"""Zero crossings of the sinc on each side."""

ROLLOFF = 0.92
"""The filter's cut-off, as a share of the lower of the two Nyquist frequencies."""

BETA = 10.0
"""The beta of the Kaiser window: about 100 dB between pass band and stop band."""

MAX_PHASES = 640
"""The most phases for which kernels are made."""

MAX_WEIGHTS = 1 << 20
"""The most weights in the kernels; usual rates need fewer."""

_AT_ONCE = 1 << 20
"""The most samples multiplied at a time; samples in several frames count several times."""


def can_lower(rate: int, target: int) -> bool:
    """Returns whether `RateLowering` can convert one rate to the other: a lower one, by a usual ratio."""
    if not rate > target > 0:
        return False
    up, down = ratio_of(rate, target)
    return up <= MAX_PHASES and up * (down + 2 * reach_of(up, down) + 1) <= MAX_WEIGHTS


class RateLowering:
    """Resamples one channel to a lower rate; the outputs of all blocks together equal those of the whole.

    Args:
        rate: the sampling rate of the input.
        target: the sampling rate of the output; see `can_lower`.
    """

    def __init__(self, rate: int, target: int) -> None:
        self._up, self._down = ratio_of(rate, target)
        reach = reach_of(self._up, self._down)
        # Short steps are taken several at a time, so that one matrix product makes more of each frame.
        together = max(1, -(-2 * reach // self._down))
        self._step = self._down * together
        self._kernel = _kernel(self._up, self._down, together)
        self._held = np.zeros(reach, np.float32)
        self._taken = self._given = 0

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """Adds samples and returns the outputs that depend only on the samples so far.

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
        """Returns (u,) float32, the last outputs; silence is assumed after the last sample."""
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


def ratio_of(rate: int, target: int) -> tuple[int, int]:
    """Returns (up, down): so many samples at the target rate take the time of so many at the other."""
    divisor = math.gcd(rate, target)
    return target // divisor, rate // divisor


def reach_of(up: int, down: int) -> int:
    """Returns how many input samples the filter covers on each side."""
    return math.ceil(ZEROS / (ROLLOFF * min(1.0, up / down)))


@lru_cache(maxsize=8)
def _kernel(up: int, down: int, together: int) -> np.ndarray:
    """Returns (width, up * together) float32: the weight of each input of a frame for each output."""
    reach, corner = reach_of(up, down), ROLLOFF * min(1.0, up / down)
    times = np.arange(up * together) * (down / up)
    places = np.arange(down * together + 2 * reach + 1) - reach
    distance = times[None] - places[:, None]
    inside = 1.0 - np.square(distance / reach)
    window = np.i0(BETA * np.sqrt(np.maximum(inside, 0.0))) / np.i0(BETA)
    kernel = np.where(inside > 0, corner * np.sinc(corner * distance) * window, 0.0).astype(np.float32)
    kernel.setflags(write=False)
    return kernel
