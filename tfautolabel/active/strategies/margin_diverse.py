"""Asks doubtful examples that differ from each other.

Zhdanov, Diverse Mini-Batch Active Learning, 2019 (arXiv 1901.05954): k-means of the most doubtful examples,
and one of each cluster. Here it is the most doubtful one.
"""

from __future__ import annotations

import numpy as np

from tfautolabel.active.clusters import clusters_of
from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.doubt import most_doubtful
from tfautolabel.active.strategies.herding import herding

WIDE = 5
"""The clusters are made of so many times the examples to choose."""
REASON = "The model hesitates, and this one differs from the others it hesitates about."


def margin_diverse(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses doubtful rows of different clusters; see `Strategy`. Without a head it is `herding`."""
    if state.probabilities is None:
        return herding(state, n, seed=seed)
    doubtful = most_doubtful(state, state.open, WIDE * n, seed)
    clusters = clusters_of(state.geometry, doubtful, n, seed)
    # The most doubtful row of each cluster, and where clusters are fewer, the most doubtful of the others.
    _, firsts = np.unique(clusters, return_index=True)
    firsts = np.sort(firsts)
    others = np.setdiff1d(np.arange(len(doubtful)), firsts)[: max(n - len(firsts), 0)]
    return Chosen.alike(doubtful[np.concatenate([firsts, others])], REASON)
