"""What rules say of a pool: one vote or none for each example and rule, and where rules failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tfautolabel.labels import ABSTAIN, Unreadable

SHOWN_FAILURES = 5
"""So many failures of a rule are kept with their reasons; all are counted."""


class Failure(NamedTuple):
    """One example of which a rule could say nothing.

    Attributes:
        id: the example's name.
        reason: for people to read.
    """

    id: str
    reason: str


@dataclass(frozen=True)
class Failures:
    """Where one rule failed.

    Attributes:
        count: on how many examples.
        first: the first of them.
        stopped: why the rule was left out altogether; "" if it was not.
    """

    count: int = 0
    first: tuple[Failure, ...] = ()
    stopped: str = ""

    def plus(self, other: Failures) -> Failures:
        """Returns these failures and those on later examples."""
        first = (*self.first, *other.first)[:SHOWN_FAILURES]
        return Failures(self.count + other.count, first, self.stopped or other.stopped)

    def sentence(self, name: str) -> str:
        """Says it of a rule; "" if there is nothing to say."""
        if self.stopped:
            return f"rule {name!r} is left out: {self.stopped}"
        if not self.count:
            return ""
        example = self.first[0]
        return f"rule {name!r} failed on {self.count:,} examples, first on {example.id}: {example.reason}"


@dataclass(frozen=True, eq=False)
class Votes:
    """The votes of m rules on n examples of k classes.

    Attributes:
        matrix: (n, m), the smallest signed integers that hold the class ids; `ABSTAIN` (-1) for no vote.
        ids: (n,) str, the examples' names. Examples that cannot be read have a row without votes.
        classes: k names.
        names: m names of rules.
        failures: for each rule, where it failed.
        unreadable: the examples that cannot be read.
    """

    matrix: np.ndarray
    ids: np.ndarray
    classes: tuple[str, ...]
    names: tuple[str, ...]
    failures: tuple[Failures, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def covered(self) -> np.ndarray:
        """Which examples have a vote: (n,) bool."""
        return np.asarray((self.matrix != ABSTAIN).any(axis=1))

    def subset(self, rows: np.ndarray) -> Votes:
        """Returns the votes on some examples, (p,) indices, in this order."""
        return replace(self, matrix=self.matrix[rows], ids=self.ids[rows])

    @property
    def stopped(self) -> list[str]:
        """The names of rules that gave up, and have no votes for that reason."""
        return [name for name, one in zip(self.names, self.failures, strict=True) if one.stopped]

    def sentences(self) -> list[str]:
        """Says which rules failed, and where."""
        said = [one.sentence(name) for name, one in zip(self.names, self.failures, strict=True)]
        return [sentence for sentence in said if sentence]


def vote_type(n_classes: int) -> type[np.signedinteger]:
    """Returns the smallest signed integers that hold all class ids and `ABSTAIN`."""
    return next(kind for kind in (np.int8, np.int16, np.int32) if n_classes <= np.iinfo(kind).max)


def vote_counts(votes: np.ndarray, n_classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Counts the votes for each class.

    Args:
        votes: (n, m) class ids, -1 for no vote.
        n_classes: k.
        weights: (m,) what a vote of each rule counts; 1 by default.

    Returns:
        (n, k) int64, or float64 with weights.
    """
    cast = (votes == number for number in range(n_classes))
    return np.stack([one.sum(axis=1) if weights is None else one @ weights for one in cast], axis=1)


def check_votes(votes: np.ndarray | Sequence[Sequence[int]], n_classes: int) -> np.ndarray:
    """Returns a matrix of votes as it is, if it is one; matrices of Snorkel are.

    Args:
        votes: (n, m) integers, -1 for no vote.
        n_classes: k.

    Raises:
        ValueError: If it has another shape, or a vote is neither -1 nor in [0, k).
    """
    matrix = np.asarray(votes)
    if matrix.ndim != 2 or not np.issubdtype(matrix.dtype, np.integer):
        raise ValueError(
            "votes must be integers of shape (n, m), a row for each example and a column for each rule. "
            f"Received: {matrix.dtype} of shape {matrix.shape}"
        )
    if matrix.size and not (matrix.min() >= ABSTAIN and matrix.max() < n_classes):
        raise ValueError(
            f"votes must lie in [-1, {n_classes - 1}]. Received: votes from {matrix.min()} to {matrix.max()}"
        )
    return matrix
