"""Tells whether a pool is like the labelled examples: one test for all of it, and one for the inputs alone.

The test is a classifier two-sample test (Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests, arXiv
1610.06545): a ridge classifier learns which examples are labelled ones, and is judged on examples that it has
not seen. The p-value comes from permutations of the sides, so that it is exact for any number of examples.
Scores of examples that were left out follow in closed form, and all permutations share one decomposition.

Labels are often drawn class by class, so a pool with other shares of the classes is a usual case. Then the
examples of each class may still be alike. Therefore, if the first test finds a difference, the shares are
estimated by expectation maximisation (Saerens, Latinne and Decaestecker, Adjusting the Outputs of a
Classifier to New a Priori Probabilities, 2002), a part of the pool is drawn that has the labelled examples'
shares, and the test is repeated with it. A difference that remains is one of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfautolabel.data import Dataset

LEVEL = 0.01
"""The largest p-value at which the two sides differ."""

PERMUTATIONS = 199
MOST = 1_000
"""Examples of each side that are looked at; more are drawn from at random."""

FEWEST = 8
"""Examples of each side below which nothing is tested: no difference could be shown."""

STRANGEST = 12
"""How many of the strangest examples are named."""

_FOLDS = 5
_DOUBT = 0.05  # of the pool's size: so many further examples with the labelled shares keep the shares from 0
_RAREST = 1.0 / 30.0  # how rarely an example of the pool may be drawn, relative to the others
_STEPS = 1_000
_TOLERANCE = 1e-6
_TINY = 1e-9


@dataclass(frozen=True)
class DomainGap:
    """How well examples of two sides can be told apart.

    Attributes:
        auc: of the classifier, on examples that it has not seen; 0.5 if the sides cannot be told apart.
        p_value: in (0, 1], exact: the chance of such an area, or a larger one, if the sides do not differ.
        labelled: how many labelled examples were looked at.
        pool: how many examples of the pool.
    """

    auc: float
    p_value: float
    labelled: int
    pool: int

    @property
    def found(self) -> bool:
        """Whether the sides differ, at the level `LEVEL`."""
        return self.p_value <= LEVEL


@dataclass(frozen=True)
class Shift:
    """What differs between labelled examples and a pool.

    Attributes:
        gap: the test of all that may differ.
        inputs: the test after the classes' shares were made equal; None if `gap` finds nothing, or if too few
            of the pool are left.
        labelled_shares: (k,) the classes' shares of the labelled examples.
        pool_shares: (k,) the classes' shares of the pool, estimated as if the examples of a class were alike.
        strangest: ids of the pool's examples that are told from the labelled ones most surely.
        differences: sentences about plain quantities that differ.
    """

    gap: DomainGap
    inputs: DomainGap | None
    labelled_shares: tuple[float, ...]
    pool_shares: tuple[float, ...]
    strangest: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()

    @property
    def changed(self) -> str:
        """What differs: "nothing", "classes" if their shares explain it, or "inputs"."""
        if not self.gap.found:
            return "nothing"
        return "inputs" if self.inputs is None or self.inputs.found else "classes"

    @property
    def other_population(self) -> float | None:
        """The p-value that shows that the inputs differ; None if nothing shows it."""
        if self.changed != "inputs":
            return None
        return self.gap.p_value if self.inputs is None else max(self.gap.p_value, self.inputs.p_value)

    def sentences(self, classes: Sequence[str]) -> list[str]:
        """Returns in words what differs if the classes' shares explain it; empty otherwise.

        Args:
            classes: k names.
        """
        if self.changed != "classes":
            return []
        most = sorted(range(len(classes)), key=lambda number: -self.pool_shares[number])[:3]
        told = "; ".join(
            f"{classes[number]} {self.pool_shares[number]:.0%}, not {self.labelled_shares[number]:.0%}"
            for number in most
        )
        return [
            f"the classes have other shares in the pool (about {told}): the accuracy is one for the "
            "shares of the labelled examples"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Returns the attributes as plain values, ready for JSON, and `changed`."""
        entries = asdict(self) | {"changed": self.changed}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in entries.items()}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> Shift:
        """Restores what `to_dict` returned."""
        inputs = entries["inputs"]
        return cls(
            DomainGap(**entries["gap"]),
            None if inputs is None else DomainGap(**inputs),
            tuple(entries["labelled_shares"]),
            tuple(entries["pool_shares"]),
            tuple(entries["strangest"]),
            tuple(entries["differences"]),
        )


def domain_gap(
    labelled: np.ndarray, pool: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> DomainGap:
    """Tests whether labelled examples and a pool were drawn from the same population.

    Args:
        labelled: (n, d) features.
        pool: (m, d) features; none of them may be among the labelled ones.
        permutations: how many; the smallest possible p-value is 1 / (permutations + 1).
        seed: determines folds, permutations, and which examples are looked at, at most `MOST` of each side.

    Returns:
        The area under the ROC curve and its exact p-value.

    Raises:
        ValueError: If a side has fewer than `FEWEST` examples, or the features do not fit together.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> domain_gap(rng.normal(size=(60, 8)), rng.normal(size=(200, 8))).found
        False
        >>> domain_gap(rng.normal(size=(60, 8)), rng.normal(0.6, size=(200, 8))).found
        True
    """
    return _compared(labelled, pool, permutations, seed)[0]


def _compared(
    labelled: np.ndarray, pool: np.ndarray, permutations: int, seed: int
) -> tuple[DomainGap, np.ndarray]:
    """Returns the test, and rows of the pool, the one first that is told most surely."""
    labelled, pool = np.asarray(labelled, np.float64), np.asarray(pool, np.float64)
    if labelled.ndim != 2 or pool.ndim != 2 or labelled.shape[1] != pool.shape[1]:
        raise ValueError(
            "labelled and pool must have shapes (n, d) and (m, d). "
            f"Received: shapes {labelled.shape} and {pool.shape}"
        )
    if min(len(labelled), len(pool)) < FEWEST:
        raise ValueError(
            f"each side must have at least {FEWEST} examples. Received: {len(labelled)} and {len(pool)}"
        )
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(len(side))[:MOST] for side in (labelled, pool)]
    n, m = map(len, rows)
    order = rng.permutation(n + m)  # so that copies of one example on both sides are in no order
    values = _unit(np.concatenate([labelled[rows[0]], pool[rows[1]]])[order])
    goals = np.zeros((n + m, permutations + 1))
    goals[:, 0] = order >= n
    for number in range(1, permutations + 1):
        goals[:, number] = rng.permutation(goals[:, 0])
    scores = _left_out(values, goals - m / (n + m), rng)
    areas = _areas(scores, goals)
    at_least = int((areas[1:] >= areas[0]).sum())
    strangest = order[np.argsort(-scores[:, 0], kind="stable")]
    gap = DomainGap(float(areas[0]), (1 + at_least) / (1 + permutations), n, m)
    return gap, rows[1][strangest[strangest >= n] - n]


def sample_of(pool: Dataset, seed: int = 0) -> Dataset:
    """Returns as many examples of a pool as a test looks at, drawn at random."""
    rows = np.random.default_rng(seed).choice(len(pool), min(MOST, len(pool)), replace=False)
    return pool.subset(np.sort(rows))


def other_population(labelled: np.ndarray, pool: np.ndarray, *, seed: int = 0) -> float | None:
    """Returns the p-value that shows that (n, d) and (m, d) features differ; None if nothing shows it.

    Other shares of the classes are a difference too. Fewer than `FEWEST` examples of a side show nothing.
    """
    if min(len(labelled), len(pool)) < FEWEST:
        return None
    gap = domain_gap(labelled, pool, seed=seed)
    return gap.p_value if gap.found else None


def class_shares(probabilities: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Estimates the shares of the classes in a pool by expectation maximisation (Saerens et al., 2002).

    Args:
        probabilities: (m, k) calibrated for examples whose classes have the shares `prior`.
        prior: (k,) positive shares that sum to 1. The estimate leans a little towards them, as if some more
            examples with these shares had been seen.

    Returns:
        (k,) positive shares that sum to 1. They are right only if the examples of each class are alike.

    Examples:
        >>> sure = np.repeat([[0.95, 0.05], [0.05, 0.95]], [90, 10], axis=0)
        >>> class_shares(sure, np.array([0.5, 0.5])).round(1).tolist()
        [0.9, 0.1]
    """
    n, shares = len(probabilities), prior
    for _ in range(_STEPS):
        adjusted = probabilities * (shares / prior)
        adjusted = adjusted / np.maximum(adjusted.sum(axis=1, keepdims=True), _TINY)
        found = (adjusted.sum(axis=0) + _DOUBT * n * prior) / (n * (1.0 + _DOUBT))
        done = np.abs(found - shares).max() < _TOLERANCE
        shares = found / found.sum()
        if done:
            break
    return np.asarray(shares)


def find_shift(
    labelled: np.ndarray,
    class_ids: np.ndarray,
    pool: np.ndarray,
    probabilities: np.ndarray,
    prior: np.ndarray | None = None,
    *,
    ids: Sequence[str] | np.ndarray = (),
    seed: int = 0,
) -> Shift:
    """Finds whether a pool differs from the labelled examples, and whether the classes' shares explain it.

    Args:
        labelled: (n, d) features.
        class_ids: (n,) int64 in [0, k), their classes.
        pool: (m, d) features; none of them may be among the labelled ones.
        probabilities: (m, k) of the pool, calibrated for classes with the shares `prior`.
        prior: (k,) shares for which the probabilities are calibrated; by default the labelled ones.
        ids: (m,) names of the pool's examples, so that the strangest can be named.
        seed: determines all random choices.

    Returns:
        The tests, and the shares of the classes on both sides.

    Raises:
        ValueError: As of `domain_gap`.
    """
    probabilities = np.asarray(probabilities, np.float64)
    k = probabilities.shape[1]
    own = np.bincount(class_ids, minlength=k) / len(class_ids)
    prior = own if prior is None else np.asarray(prior, np.float64)
    prior = np.maximum(prior, _TINY) / np.maximum(prior, _TINY).sum()
    gap, strangest = _compared(labelled, pool, PERMUTATIONS, seed)
    shares = class_shares(probabilities, prior)
    inputs = None
    if gap.found:
        chances = (probabilities @ (own / prior)) / np.maximum(probabilities @ (shares / prior), _TINY)
        chances = np.clip(chances / max(chances.max(), _TINY), _RAREST, 1.0)
        alike = np.random.default_rng(seed).random(len(pool)) < chances
        if alike.sum() >= FEWEST:
            inputs = domain_gap(labelled, np.asarray(pool)[alike], seed=seed)
    named = tuple(str(ids[row]) for row in strangest[:STRANGEST]) if gap.found and len(ids) else ()
    return Shift(gap, inputs, tuple(own.tolist()), tuple(shares.tolist()), named)


def _unit(values: np.ndarray) -> np.ndarray:
    """Returns rows of length 1, as the heads see them, around their mean."""
    values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)
    return np.asarray(values - values.mean(axis=0))


def _left_out(values: np.ndarray, goals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns (n, j) ridge predictions of the goals, by classifiers that have not seen the example's fold.

    With the hat matrix H of all examples, those of a fold B are g_B - (I - H_BB)^-1 (g - H g)_B.
    """
    n = len(values)
    products = values @ values.T
    penalty = max(float(np.trace(products)) / n, _TINY)
    products += 1.0  # the intercept
    hat = np.linalg.solve(products + penalty * np.eye(n), products)
    residual = goals - hat @ goals
    fold, scores = rng.permutation(n) % _FOLDS, np.empty_like(goals)
    for number in range(_FOLDS):
        rows = np.flatnonzero(fold == number)
        without = np.eye(len(rows)) - hat[np.ix_(rows, rows)]
        scores[rows] = goals[rows] - np.linalg.solve(without, residual[rows])
    return scores


def _areas(scores: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Returns (j,) the areas under the ROC curves of (n, j) scores for sides of 0 and 1 (n, j)."""
    ranks = scores.argsort(axis=0).argsort(axis=0) + 1.0
    ones = sides[:, 0].sum()
    zeros = len(sides) - ones
    return np.asarray(((ranks * sides).sum(axis=0) - ones * (ones + 1) / 2) / (ones * zeros))
