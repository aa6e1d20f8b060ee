"""k-means of some rows of a pool."""

from __future__ import annotations

import warnings

import numpy as np

from tfautolabel.active.geometry import PoolGeometry


def clusters_of(geometry: PoolGeometry, rows: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Returns (m,) int64 in [0, k), the cluster of each row.

    Args:
        geometry: of the pool.
        rows: (m,) int64.
        k: how many clusters; with at least m, each row is one.
        seed: decides where k-means starts.
    """
    if len(rows) <= k:
        return np.arange(len(rows))
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Fewer different rows than clusters: there are fewer clusters then.
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(k, n_init=1, max_iter=30, random_state=seed).fit(geometry.low(rows))
    return np.asarray(means.labels_, np.int64)
