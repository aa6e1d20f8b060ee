"""Where the examples of a pool lie: what query strategies need of its features, once for a session."""

from __future__ import annotations

import functools

import numpy as np

WHOLE = 3000
"""Pools with at most so many rows are compared row by row; a sample of larger ones stands for the rest."""
REFERENCE = 2000
"""The rows in the sample of a larger pool."""
NEAR_SHARE, LEAST_NEAR = 50, 5
"""The kernel is as wide as the usual distance to the (n / 50)-th neighbour, at least to the fifth."""
LOW_DIM = 48
"""The most dimensions for k-means."""

_SQUARE_ROOT, _SMALL, _LEAST_SQUARE = 0.5, 1e-6, 1e-14  # as in `tfautolabel.heads.normalization`
_LEAST_WIDTH = 1e-9
_PART_ROWS = 2048


class PoolGeometry:
    """Distances between examples of a pool, with bounded memory.

    All of it depends on the features and the seed alone, so one object serves all batches of a session. Rows
    are normalised as the heads normalise them, and only when they are needed: a pool may be a memory map of a
    million rows, of which some thousand are read for a batch.

    Args:
        features: (n, d) float32, as a backbone gives them; an array or a memory map.
        seed: decides which rows stand for a large pool.
        whole: pools with more rows are large; of these, strategies look at that many rows.
        reference_rows: how many rows stand for a large pool, at most `whole`.

    Attributes:
        features, seed, whole: as received.
        reference: (r,) int64, ascending, the rows that stand for the pool; all of a small one.

    Raises:
        ValueError: If the features are not a matrix.
    """

    def __init__(
        self, features: np.ndarray, seed: int = 0, *, whole: int = WHOLE, reference_rows: int = REFERENCE
    ) -> None:
        if np.ndim(features) != 2:
            raise ValueError(f"features have shape (n, d). Received: shape {np.shape(features)}")
        self.features = features
        self.seed = seed
        self.whole = whole
        n = len(features)
        self.reference = np.arange(n)
        if n > whole:
            self.reference = np.sort(np.random.default_rng(seed).choice(n, reference_rows, replace=False))
        self._covered: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def is_whole(self) -> bool:
        """Whether the reference is the whole pool."""
        return len(self.reference) == len(self.features)

    def units(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, d) float32, rows of length one, as the heads see them.

        Args:
            rows: (m,) int64.

        Raises:
            ValueError: If a feature of such a row is not finite.
        """
        if self.is_whole:
            return np.asarray(self._reference_units[rows])
        return self._normalized(self._read(rows))

    def similarity(self, rows: np.ndarray) -> np.ndarray:
        """Returns (r, m) float32 in [0, 1], the kernel between the reference and the rows.

        The kernel is Gaussian in the distance of normalised rows.

        Args:
            rows: (m,) int64.
        """
        if self.is_whole:
            return np.asarray(self._reference_kernel[:, rows])
        return self._kernel(self._reference_units, self.units(rows))

    def covered(self, rows: np.ndarray) -> np.ndarray:
        """Returns (r,) float32 in [0, 1], how close the nearest of the rows is to each row of the reference.

        Remembers the last answer, so that further rows cost only their own comparison.

        Args:
            rows: (m,) int64; with none, nothing is covered.
        """
        before, covered = self._covered or (np.zeros(0, np.int64), np.zeros(len(self.reference), np.float32))
        if len(np.setdiff1d(before, rows)):  # some were taken back
            before, covered = np.zeros(0, np.int64), np.zeros(len(self.reference), np.float32)
        new = np.setdiff1d(rows, before)
        for start in range(0, len(new), _PART_ROWS):
            part = self.similarity(new[start : start + _PART_ROWS])
            covered = np.maximum(covered, part.max(axis=1))
        self._covered = np.union1d(before, new), covered
        return covered

    def low(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, at most 48) float32, the rows' principal components, for k-means.

        Args:
            rows: (m,) int64.
        """
        centre, axes = self._components
        return np.asarray((self.units(rows) - centre) @ axes)

    @functools.cached_property
    def typicality(self) -> np.ndarray:
        """(r,) float32, for each row of the reference, the inverse of its mean distance to 20 neighbours."""
        squares = self._reference_squares
        near = min(20, len(squares) - 1)
        if near < 1:
            return np.ones(len(squares), np.float32)
        nearest = np.sqrt(np.partition(squares, near, axis=1)[:, : near + 1])
        return np.asarray(1.0 / np.maximum(nearest.sum(axis=1) / near, 1e-6))

    def _read(self, rows: np.ndarray) -> np.ndarray:
        read = np.asarray(self.features[rows], np.float32)
        wrong = ~np.isfinite(read).all(axis=1)
        if wrong.any():
            raise ValueError(
                f"features must be finite. Received: NaN or infinity in row {np.asarray(rows)[wrong][0]}"
            )
        return read

    def _normalized(self, read: np.ndarray) -> np.ndarray:
        return power_normalized(read, self._power)

    @functools.cached_property
    def _first_read(self) -> tuple[float, np.ndarray]:
        read = self._read(self.reference)
        return suited_power(read), read

    @property
    def _power(self) -> float:
        return self._first_read[0]

    @functools.cached_property
    def _reference_units(self) -> np.ndarray:
        return self._normalized(self._first_read[1])

    @property
    def _reference_squares(self) -> np.ndarray:
        """(r, r) float32, squared distances."""
        return _squared_distances(self._reference_units, self._reference_units)

    @functools.cached_property
    def _width(self) -> float:
        """The squared width of the kernel."""
        squares = self._reference_squares
        if not len(squares):
            return 1.0
        near = min(max(LEAST_NEAR, len(squares) // NEAR_SHARE), len(squares) - 1)
        return max(float(np.median(np.partition(squares, near, axis=1)[:, near])), _LEAST_WIDTH)

    @functools.cached_property
    def _reference_kernel(self) -> np.ndarray:
        return self._kernel(self._reference_units, self._reference_units)

    def _kernel(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        squares = _squared_distances(left, right)
        squares /= np.float32(-self._width)
        return np.asarray(np.exp(squares, out=squares))

    @functools.cached_property
    def _components(self) -> tuple[np.ndarray, np.ndarray]:
        units = self._reference_units
        centre = units.mean(axis=0)
        covariance = (units - centre).T @ (units - centre)
        values, axes = np.linalg.eigh(covariance.astype(np.float64))
        kept = min(LOW_DIM, *units.shape)
        return centre, np.asarray(axes[:, np.argsort(-values)[:kept]], np.float32)


def suited_power(features: np.ndarray) -> float:
    """Returns the power that suits (n, d) features, as `PowerNormalization.adapt` chooses it."""
    return _SQUARE_ROOT if features.size and features.min() >= 0.0 else 1.0


def power_normalized(features: np.ndarray, power: float) -> np.ndarray:
    """Returns what `tfautolabel.heads.normalization.PowerNormalization` gives, without TensorFlow.

    Args:
        features: (n, d) float32.
        power: see `suited_power`.

    Returns:
        (n, d) float32, rows of length one.
    """
    raised = np.sign(features) * np.power(np.abs(features) + np.float32(_SMALL), np.float32(power))
    squares = np.sum(raised * raised, axis=1, keepdims=True)
    return np.asarray(raised / np.sqrt(np.maximum(squares, np.float32(_LEAST_SQUARE))), np.float32)


def _squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns (m, n) float32 for rows of length one."""
    squares = left @ right.T
    squares *= np.float32(-2.0)
    squares += np.float32(2.0)
    return np.asarray(np.maximum(squares, np.float32(0.0), out=squares))
