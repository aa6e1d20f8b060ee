"""The contract of query strategies: what they know of a pool, and what they choose from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from tfautolabel.active.geometry import PoolGeometry


def _no_rows() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class PoolState:
    """What is known of a pool when the next examples are chosen.

    Attributes:
        features: (n, d) float32, as a backbone gives them; they are normalised where they are compared. An
            array or a memory map.
        labelled: (m,) int64, the rows that have a label.
        probabilities: (n, k) float32, rows sum to 1; None before there is a head.
        n_classes: k.
        closed: (c,) int64, rows without a label that must not be asked: skipped, or being answered by
            somebody else.
        geometry: the `PoolGeometry` of the features. Pass one object to all states of a session, so that it
            is computed once.

    Raises:
        ValueError: If a row is not in the pool, or shapes do not agree.
    """

    features: np.ndarray
    labelled: np.ndarray
    probabilities: np.ndarray | None
    n_classes: int
    closed: np.ndarray = field(default_factory=_no_rows)
    geometry: PoolGeometry = None  # type: ignore[assignment]  # made from the features, if not given

    def __post_init__(self) -> None:
        if self.geometry is None:
            object.__setattr__(self, "geometry", PoolGeometry(self.features))
        n = len(self.features)
        if len(self.geometry) != n:
            raise ValueError(f"the geometry is of another pool. Received: {len(self.geometry)} and {n} rows")
        for name in ("labelled", "closed"):
            rows = np.asarray(getattr(self, name), np.int64).reshape(-1)
            if len(rows) and not (rows.min() >= 0 and rows.max() < n):
                raise ValueError(f"{name} holds rows in [0, {n}). Received: {rows.min()} to {rows.max()}")
            object.__setattr__(self, name, rows)
        known = self.probabilities
        if known is not None and known.shape != (n, self.n_classes):
            raise ValueError(
                f"probabilities have shape ({n}, {self.n_classes}) here. Received: shape {known.shape}"
            )

    @property
    def open(self) -> np.ndarray:
        """(o,) int64, ascending, the rows that may be asked."""
        free = np.ones(len(self.features), bool)
        free[self.labelled] = False
        free[self.closed] = False
        return np.flatnonzero(free)


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a strategy chose.

    Attributes:
        rows: (m,) int64, in the order to ask.
        reasons: m sentences that say why the strategy asks for it.
    """

    rows: np.ndarray
    reasons: tuple[str, ...]

    @classmethod
    def alike(cls, rows: np.ndarray, reason: str) -> Chosen:
        """Returns rows that were all chosen for one reason."""
        return cls(np.asarray(rows, np.int64), (reason,) * len(rows))


class Strategy(Protocol):
    """Chooses the examples to ask a person about.

    It returns min(n, open rows) rows: never one that is labelled or closed, and no row twice. The same state
    and seed give the same rows. Equal examples are ordered by the seed, except by a
    strategy that keeps the order of the data.
    """

    def __call__(self, state: PoolState, n: int, *, seed: int) -> Chosen:
        """Chooses up to n of the open rows."""
