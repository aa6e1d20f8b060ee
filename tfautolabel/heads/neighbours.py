"""Neighbours in a pool: features averaged over them, and probabilities that labels pass along to them.

A sample of the pool, with the labelled examples, are the anchors. Every example, in the pool or new, is
compared with the anchors in the same way, and an anchor that equals it does not count. So an example that
is held out stands where any example without a label stands. The graph is that of label spreading (Zhou et
al., Learning with Local and Global Consistency, NeurIPS 2003), with features that are averaged too (Wu et
al., Simplifying Graph Convolutional Networks, ICML 2019). Nothing in it assumes classes of equal size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import scipy.sparse as sparse
from keras import ops

from tfautolabel.heads.normalization import unit_rows

NEIGHBOURS = 10

ANCHORS = 3_000
"""So many rows of a pool are anchors; more add little, and a served model holds them."""

KEPT = 0.2
"""The share of its own belief that a row keeps when its neighbours' come along."""

_STEPS = 20
_SAME = 1.0 - 1e-5
_LEAST_DISTANCE = 1e-6
_ROWS_AT_ONCE = 1_024


def nearest(rows: Any, anchors: Any) -> tuple[Any, Any]:
    """Finds the nearest anchors that do not equal the row.

    Args:
        rows: (n, d) float32, centred and of length one, as the anchors: without the centring a few rows are
            everybody's neighbours.
        anchors: (m, d) float32, m > `NEIGHBOURS`.

    Returns:
        (n, NEIGHBOURS) int32 places, and (n, NEIGHBOURS) float32 squared distances in ascending order.
    """
    cosines = ops.matmul(rows, ops.transpose(anchors))
    cosines = ops.where(cosines > _SAME, -1.0, cosines)
    cosine, places = ops.top_k(cosines, NEIGHBOURS)
    return places, ops.maximum(2.0 - 2.0 * cosine, _LEAST_DISTANCE)


def closeness(squared: Any, reach: Any) -> Any:
    """Returns weights that fall with the distance, measured by how far neighbours of both rows lie.

    Args:
        squared: (n, NEIGHBOURS) squared distances in ascending order.
        reach: (n, NEIGHBOURS), the squared distance of each neighbour to its own last neighbour.

    Returns:
        (n, NEIGHBOURS) float32; rows sum to 1.
    """
    weights = ops.exp(-squared * ops.rsqrt(squared[:, -1:] * reach))
    return weights / ops.sum(weights, axis=-1, keepdims=True)


def seen_from(rows: Any, centre: Any, near: Any, reach: Any) -> tuple[Any, Any]:
    """Returns places and weights of the neighbours of (n, d) rows of length one; see `Anchors`."""
    places, squared = nearest(unit_rows(rows - centre), near)
    return places, closeness(squared, ops.take(reach, places, axis=0))


def average_of(places: Any, weights: Any, values: Any) -> Any:
    """Returns (n, c), the weighted mean of (m, c) values over each row's neighbours."""
    return ops.sum(ops.expand_dims(weights, -1) * ops.take(values, places, axis=0), axis=1)


@dataclass(frozen=True, eq=False)
class Anchors:
    """Anchors and what they know of each other.

    Attributes:
        centre: (d,) float32, the mean of the anchors.
        near: (m, d) float32, the anchors without the mean, of length one.
        reach: (m,) float32, each anchor's squared distance to its own last neighbour.
        smooth: (m, d) float32, what an anchor adds to its neighbours' smoothed features.
        links: (m, m), sparse, each row the weights of an anchor's neighbours.
    """

    centre: np.ndarray
    near: np.ndarray
    reach: np.ndarray
    smooth: np.ndarray
    links: sparse.csr_matrix

    @classmethod
    def of(cls, rows: np.ndarray) -> Anchors:
        """Compares (m, d) float32 rows of length one with each other, in blocks."""
        centre = rows.mean(axis=0)
        near = _numpy(unit_rows(rows - centre))
        blocks = [_numpies(nearest(near[at : at + _ROWS_AT_ONCE], near)) for at in _starts(rows)]
        places, squared = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        reach = squared[:, -1]
        weights = _numpy(closeness(squared, reach[places]))
        m = len(rows)
        links = sparse.csr_matrix(
            (weights.ravel(), (np.arange(m).repeat(NEIGHBOURS), places.ravel())), (m, m)
        )
        # Of two steps, each half way to the neighbours' mean, this is what the neighbours add.
        once = 0.5 * rows + 0.5 * (links @ rows)
        smooth = 0.25 * rows + 0.5 * once
        return cls(centre, near, reach, smooth.astype(np.float32), links)

    def seen_from(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns places and weights of the neighbours of (n, d) rows of length one."""
        found = [
            _numpies(seen_from(rows[at : at + _ROWS_AT_ONCE], self.centre, self.near, self.reach))
            for at in _starts(rows)
        ]
        places, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return places, weights

    def smoothed(self, rows: np.ndarray, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Returns (n, d) float32 rows two steps towards their neighbours, of length one."""
        parts = [
            smoothed(rows[at:end], places[at:end], weights[at:end], self.smooth)
            for at in _starts(rows)
            for end in [at + _ROWS_AT_ONCE]
        ]
        return np.concatenate([_numpy(part) for part in parts])

    def passed_along(self, own: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Lets the anchors' probabilities pass along; labels stay what they are.

        Args:
            own: (m, k), what a head believes of each anchor.
            known: (n, k), n <= m, of the first anchors: 1 for the label of an anchor that is known, rows of
                zeros for others.

        Returns:
            (m, k) float32, rows sum to 1.
        """
        start = own.copy()
        rows = np.flatnonzero(known.any(axis=1))
        start[rows] = known[rows]
        current = start
        for _ in range(_STEPS):
            current = (1.0 - KEPT) * (self.links @ current) + KEPT * start
        return np.asarray(current / current.sum(axis=1, keepdims=True), np.float32)


def smoothed(rows: Any, places: Any, weights: Any, smooth: Any) -> Any:
    """Returns (n, d) rows two steps towards their neighbours, of length one; see `Anchors.smooth`."""
    return unit_rows(0.25 * rows + average_of(places, weights, smooth))


def passed_to(own: Any, places: Any, weights: Any, carried: Any) -> Any:
    """Returns (n, k) probabilities: of (n, k) own belief a share, the rest from the anchors' (m, k)."""
    return KEPT * own + (1.0 - KEPT) * average_of(places, weights, carried)


def _starts(rows: np.ndarray) -> range:
    return range(0, len(rows), _ROWS_AT_ONCE)


def _numpy(values: Any) -> np.ndarray:
    found: np.ndarray = keras.ops.convert_to_numpy(values)
    return found


def _numpies(values: tuple[Any, ...]) -> tuple[np.ndarray, ...]:
    return tuple(_numpy(one) for one in values)
