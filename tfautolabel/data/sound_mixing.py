"""How several channels become one: their mean, unless they cancel in it.

A cable with swapped poles records the same sound twice with opposite signs, and the mean is silence. Where
the channels' sum has less than `CANCELLED` of the energy that the loudest channel has alone, that channel is
taken. Of two channels that is a mean with less than a tenth of the louder one's energy. Independent channels
have a sum louder than each, and silent channels beside one leave it as it is: for them the mean stays.
"""

from __future__ import annotations

import numpy as np

CANCELLED = 0.4
"""The share of the loudest channel's energy, below which the sum is no fair picture of the channels."""

ALIKE = 0.99
"""Of channels whose energies differ by less, the first is taken: rounding must not decide."""


class ChannelEnergies:
    """The energies of channels and of their mean, added up block by block.

    Args:
        channels: how many there are.
    """

    def __init__(self, channels: int) -> None:
        self._each = np.zeros(channels)
        self._together = 0.0

    def add(self, samples: np.ndarray, mean: np.ndarray) -> None:
        """Takes one more block.

        Args:
            samples: (t, channels) float.
            mean: (t,) their mean.
        """
        self._each += np.einsum("tc,tc->c", samples, samples, dtype=np.float64)
        self._together += float(np.einsum("t,t->", mean, mean, dtype=np.float64)) * len(self._each) ** 2

    @property
    def louder(self) -> int | None:
        """The channel to take instead of the mean; None where the mean is right."""
        loudest = self._each.max()
        if not self._together < CANCELLED * loudest:
            return None
        return int(np.argmax(self._each >= ALIKE * loudest))
