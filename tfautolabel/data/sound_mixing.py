"""Mixes several channels to one: their mean, unless the channels cancel each other.

A cable with swapped poles records the same sound twice with opposite signs, and then the mean is silent. If
the channels' sum has less than `CANCELLED` of the energy of the loudest channel alone, that channel is taken
instead. For two channels, the mean then has less than a tenth of the louder one's energy. The sum of
independent channels is louder than each of them, and silent channels do not change the sum: in these cases
the mean is taken.
"""

from __future__ import annotations

import numpy as np

CANCELLED = 0.4
"""If the sum has less than this share of the loudest channel's energy, it does not represent the sound."""

ALIKE = 0.99
"""If energies differ by less than this, the first channel is taken, so that rounding does not decide."""


class ChannelEnergies:
    """Adds up the energies of the channels and of their mean, block by block.

    Args:
        channels: the number of channels.
    """

    def __init__(self, channels: int) -> None:
        self._each = np.zeros(channels)
        self._together = 0.0

    def add(self, samples: np.ndarray, mean: np.ndarray) -> None:
        """Adds one block.

        Args:
            samples: (t, channels) float.
            mean: (t,) their mean.
        """
        self._each += np.einsum("tc,tc->c", samples, samples, dtype=np.float64)
        self._together += float(np.einsum("t,t->", mean, mean, dtype=np.float64)) * len(self._each) ** 2

    @property
    def louder(self) -> int | None:
        """Returns the channel to take instead of the mean; None if the mean is right."""
        loudest = self._each.max()
        if not self._together < CANCELLED * loudest:
            return None
        return int(np.argmax(self._each >= ALIKE * loudest))
