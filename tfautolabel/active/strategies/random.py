"""Asks whatever chance says: what other strategies are compared with."""

from __future__ import annotations

import numpy as np

from tfautolabel.active.contract import Chosen, PoolState

REASON = "It was drawn at random."


def random(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses uniformly from the open rows; see `Strategy`."""
    return Chosen.alike(np.random.default_rng(seed).permutation(state.open)[:n], REASON)
