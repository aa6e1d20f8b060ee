"""Mixes several channels to one: their mean, unless the channels cancel each other.

A cable with swapped poles records the same sound twice with opposite signs, and then the mean is silent. If
the channels' sum has less than `CANCELLED` of the energy of the loudest channel alone, that channel is taken
instead. For two channels, the mean then has less than a tenth of the louder one's energy. The sum of
independent channels is louder than each of them, and silent channels do not change the sum: in these cases
the mean is taken.

Energy means movement: a constant offset, which cheap sound cards add to all channels, is not heard and would
hide that the channels cancel.
"""

from __future__ import annotations

import numpy as np

CANCELLED = 0.4
"""If the sum has less than this share of the loudest channel's energy, it does not represent the sound."""

ALIKE = 0.99
"""If energies differ by less than this, the first channel is taken, so that rounding does not decide."""


STILL = 1e-9
"""If less than this share of all energy is movement, there is only a constant, and rounding errors."""


class ChannelEnergies:
    """Adds up the energies of the channels and of their mean, block by block.

    Args:
        channels: the number of channels.
    """

    def __init__(self, channels: int) -> None:
        # One place more than there are channels: the last one belongs to their sum.
        self._squares = np.zeros(channels + 1)
        self._sums = np.zeros(channels + 1)
        self._count = 0

    def add(self, samples: np.ndarray, mean: np.ndarray) -> None:
        """Adds one block.

        Args:
            samples: (t, channels) float.
            mean: (t,) their mean.
        """
        channels = samples.shape[1]
        self._squares[:-1] += np.einsum("tc,tc->c", samples, samples, dtype=np.float64)
        self._squares[-1] += float(np.einsum("t,t->", mean, mean, dtype=np.float64)) * channels**2
        self._sums[:-1] += samples.sum(axis=0, dtype=np.float64)
        self._sums[-1] += mean.sum(dtype=np.float64) * channels
        self._count += len(samples)

    @property
    def louder(self) -> int | None:
        """Returns the channel to take instead of the mean; None if the mean is right."""
        if not np.isfinite(self._squares).all():  # the mean shows that the clip cannot be read
            return None
        energies = self._squares - self._sums**2 / max(self._count, 1)
        each, together = energies[:-1], energies[-1]
        loudest = each.max()
        if loudest <= STILL * self._squares[:-1].max() or together >= CANCELLED * loudest:
            return None
        return int(np.argmax(each >= ALIKE * loudest))
