"""Counts of what rules say, added up part by part, so that a large pool needs no matrix of votes."""

from __future__ import annotations

import numpy as np

from tfautolabel.labels import ABSTAIN
from tfautolabel.rules.votes import check_votes

AT_ONCE = 65_536
"""So many rows are counted at a time."""


class RuleCounts:
    """What m rules said of the examples that were added so far.

    Attributes:
        rows: how many examples.
        votes: (m, k) int64, how often each rule voted for each class.
        overlaps: (m,) int64, examples on which a rule and another one voted.
        conflicts: (m,) int64, examples on which a rule voted and another one for another class.
        together: (m, m) int64, examples on which two rules voted.
        agreed: (m, m) int64, examples on which two rules voted for the same class.
        judged: (m, k, k) int64, votes of a rule for a class on examples of each true class.
        labelled: (k,) int64, examples of each true class.

    Args:
        n_rules: m.
        n_classes: k.
    """

    def __init__(self, n_rules: int, n_classes: int) -> None:
        m, k = n_rules, n_classes
        self.n_rules, self.n_classes = m, k
        self.rows = 0
        self.votes = np.zeros((m, k), np.int64)
        self.overlaps = np.zeros(m, np.int64)
        self.conflicts = np.zeros(m, np.int64)
        self.together = np.zeros((m, m), np.int64)
        self.agreed = np.zeros((m, m), np.int64)
        self.judged = np.zeros((m, k, k), np.int64)
        self.labelled = np.zeros(k, np.int64)

    def add(self, votes: np.ndarray, truth: np.ndarray | None = None) -> None:
        """Adds examples.

        Args:
            votes: (n, m) integers, -1 for no vote.
            truth: (n,) ids of the true classes, -1 where none is known; None if none is.

        Raises:
            ValueError: If a shape or a value is not valid.
        """
        votes = check_votes(votes, self.n_classes)
        if votes.shape[1] != self.n_rules:
            raise ValueError(
                f"votes must have a column for each of the {self.n_rules} rules. "
                f"Received: shape {votes.shape}"
            )
        if truth is not None:
            truth = _checked_truth(truth, len(votes), self.n_classes)
        for start in range(0, len(votes), AT_ONCE):
            rows = slice(start, start + AT_ONCE)
            self._add(votes[rows], None if truth is None else truth[rows])

    def _add(self, votes: np.ndarray, truth: np.ndarray | None) -> None:
        self.rows += len(votes)
        voted = votes != ABSTAIN
        number = voted.sum(axis=1)
        least = np.where(voted, votes, self.n_classes).min(axis=1, initial=self.n_classes)
        differ = (number > 1) & (votes.max(axis=1, initial=ABSTAIN) != least)
        self.overlaps += voted[number > 1].sum(axis=0)
        self.conflicts += voted[differ].sum(axis=0)
        # 32-bit floats are exact up to 2**24, and matrix products of integers are slow.
        as_real = voted.astype(np.float32)
        self.together += (as_real.T @ as_real).astype(np.int64)
        for class_id in np.unique(votes[voted]).tolist():
            same = votes == class_id
            self.votes[:, class_id] += same.sum(axis=0)
            as_real = same.astype(np.float32)
            self.agreed += (as_real.T @ as_real).astype(np.int64)
        if truth is not None:
            self._judge(votes, truth)

    def _judge(self, votes: np.ndarray, truth: np.ndarray) -> None:
        known = truth != ABSTAIN
        votes, truth, k = votes[known], truth[known], self.n_classes
        self.labelled += np.bincount(truth, minlength=k)
        for rule in range(self.n_rules):
            own = votes[:, rule].astype(np.int64)
            cells = own[own != ABSTAIN] * k + truth[own != ABSTAIN]
            self.judged[rule] += np.bincount(cells, minlength=k * k).reshape(k, k)

    @property
    def fired(self) -> np.ndarray:
        """How often each rule voted, (m,)."""
        return np.asarray(np.diag(self.together))

    @property
    def correct(self) -> np.ndarray:
        """How many votes of each rule agree with a true class, (m,)."""
        return np.asarray(np.trace(self.judged, axis1=1, axis2=2))

    @property
    def incorrect(self) -> np.ndarray:
        """How many votes of each rule do not agree with the true class of their example, (m,)."""
        return np.asarray(self.judged.sum(axis=(1, 2)) - self.correct)


def _checked_truth(truth: np.ndarray, n: int, k: int) -> np.ndarray:
    truth = np.asarray(truth)
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.shape != (n,) or not np.issubdtype(truth.dtype, np.integer):
        raise ValueError(
            f"truth must be {n} class ids, one a row. Received: {truth.dtype} of shape {truth.shape}"
        )
    if n and not (truth.min() >= ABSTAIN and truth.max() < k):
        raise ValueError(
            f"truth must lie in [-1, {k - 1}]. Received: ids from {truth.min()} to {truth.max()}"
        )
    return truth.astype(np.int64)
