"""Asks what stands for most of the pool.

MaxHerding: Bae, Noh and Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, ECCV
2024 (arXiv 2407.12212).
"""

from __future__ import annotations

import numpy as np

from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.coverage import cover

REASON = "Many examples are like this one, and no labelled one is."


def herding(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses by coverage alone; see `Strategy`. It needs no head."""
    weights = np.ones(len(state.geometry.reference), np.float32)
    return Chosen.alike(cover(state, n, weights, seed), REASON)
