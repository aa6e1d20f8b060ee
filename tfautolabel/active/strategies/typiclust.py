"""Asks a typical example of each large cluster that holds no label.

Hacohen, Dekel and Weinshall, Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, ICML
2022 (arXiv 2202.02794).
"""

from __future__ import annotations

import numpy as np

from tfautolabel.active.clusters import clusters_of
from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.doubt import filled

MOST_CLUSTERS = 300
REASON = "It is typical of a group of examples in which few are labelled."


def typiclust(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses typical rows of clusters with few labels; see `Strategy`. It needs no head.

    Of a large pool it clusters the reference and the labelled rows, a random part if these are many.
    """
    rng = np.random.default_rng(seed)
    free, reference = state.open, state.geometry.reference
    n = min(n, len(free))
    labelled = rng.permutation(np.unique(state.labelled))[: state.geometry.whole]
    rows = np.union1d(reference, labelled)
    typical = np.zeros(len(rows))
    typical[np.searchsorted(rows, reference)] = state.geometry.typicality
    k = max(1, min(len(labelled) + n, MOST_CLUSTERS, len(rows) // 3))
    clusters = clusters_of(state.geometry, rows, k, seed)
    labels = np.bincount(clusters[np.searchsorted(rows, labelled)], minlength=k)
    sizes = np.bincount(clusters, minlength=k)
    # The rows of each cluster that may be asked, the most typical ones last; the seed orders equal ones.
    order = np.lexsort((rng.random(len(rows)), typical))
    order = order[np.isin(rows[order], free)]
    members = [order[clusters[order] == cluster].tolist() for cluster in range(k)]
    chosen: list[int] = []
    while len(chosen) < n and any(members):
        with_rows = [cluster for cluster in range(k) if members[cluster]]
        best = min(with_rows, key=lambda cluster: (labels[cluster], -sizes[cluster]))
        chosen.append(int(rows[members[best].pop()]))
        labels[best] += 1
    return Chosen.alike(filled(state, np.array(chosen, np.int64), n, seed), REASON)
