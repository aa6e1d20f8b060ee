"""Label models: the votes of rules on an example to one probability for each class.

Rules are right to different degrees, and some say the same thing several times. `LabelModel` judges each rule
by what all rules together say: expectation maximisation over one accuracy a rule (the model of Dawid and
Skene, Applied Statistics 28, 1979, with one number for each confusion matrix). Five things keep it from the
collapses that such models are known for. A rule that knows one class only is judged once, not again and
again: otherwise the class whose rules fire more often draws the others to it, until nearly everything is that
class. The shares of the classes are the user's or equal; learned from votes, they run away too. A strong
prior holds each accuracy near .8. A rule that says a class more often than there are examples of it cannot
always be right. And a rule weighs only as much as it brings of its own: copies of a rule share one weight.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Self

import numpy as np

from tfautolabel.labels import ABSTAIN
from tfautolabel.rules.votes import check_votes, vote_counts

PRIOR_ACCURACY, PRIOR_VOTES = 0.8, 50.0
"""Before any vote, a rule is right this often, as if so many of its votes had been judged."""

BROAD = 0.8
"""A rule that says one class of more than this share of all examples is left out."""

HIGHEST = 0.97
"""No rule counts as better than this, however much it agrees with the others."""

_COPY_POWER = 8
"""Of a similarity of .9, so high a power leaves .43; of one of .5, nothing."""
_ROUNDS, _SETTLED = 50, 1e-5
_PART = 65_536
"""Rows whose probabilities are computed at a time."""

ABSTAIN_AT_TIES, RANDOM_AT_TIES = "abstain", "random"


class VoteModel(abc.ABC):
    """What all label models share.

    Args:
        classes: k names, or k.

    Attributes:
        n_classes: k.
    """

    def __init__(self, classes: Sequence[str] | int) -> None:
        self.n_classes = int(classes) if isinstance(classes, (int, np.integer)) else len(classes)
        if self.n_classes < 2:
            raise ValueError(f"at least two classes are needed. Received: classes={classes!r}")

    def fit(
        self,
        votes: np.ndarray,
        class_prior: Sequence[float] | np.ndarray | None = None,
        gold: np.ndarray | None = None,
    ) -> Self:
        """Learns from the votes what there is to learn; a model that learns nothing checks them only.

        Args:
            votes: (n, m) integers, a class id or -1 for no vote: what `apply_rules` gives, or a matrix L of
                Snorkel's.
            class_prior: (k,) positive, the shares of the classes; equal by default. They are never learned.
            gold: (n,) class ids of examples whose class is known, -1 for the others.

        Returns:
            The model itself.

        Raises:
            ValueError: If an argument has another shape or values out of range.
        """
        matrix = check_votes(votes, self.n_classes)
        self._prior = _checked_prior(class_prior, self.n_classes)
        self._fit(matrix, _checked_gold(gold, len(matrix), self.n_classes))
        return self

    def _fit(self, votes: np.ndarray, gold: np.ndarray | None) -> None:  # noqa: B027
        """Learns from checked votes; by default, nothing."""

    @abc.abstractmethod
    def _scores(self, votes: np.ndarray) -> np.ndarray:
        """Returns (n, k) probabilities of rows that have votes."""

    def predict_proba(self, votes: np.ndarray) -> np.ndarray:
        """Returns the probability of each class; without a vote, the classes' prior shares.

        Args:
            votes: (n, m) integers, of the rules that the model was fitted on.

        Returns:
            (n, k) float32, rows sum to 1.

        Raises:
            RuntimeError: If the model is not fitted.
            ValueError: If the votes are of another number of rules, or out of range.
        """
        if not hasattr(self, "_prior"):
            raise RuntimeError("this label model is not fitted yet: call fit with votes first")
        matrix = check_votes(votes, self.n_classes)
        found = np.empty((len(matrix), self.n_classes), np.float32)
        for start in range(0, len(matrix), _PART):
            part = matrix[start : start + _PART]
            some = (part != ABSTAIN).any(axis=1)
            rows = np.tile(self._prior, (len(part), 1))
            rows[some] = self._scores(part[some])
            found[start : start + _PART] = rows
        return found

    def predict(
        self, votes: np.ndarray, tie_break_policy: str = ABSTAIN_AT_TIES, *, seed: int = 0
    ) -> np.ndarray:
        """Returns the most probable class of each example, or `ABSTAIN` (-1) without a vote.

        Args:
            votes: as for `predict_proba`.
            tie_break_policy: "abstain" where classes are equally probable, or "random" for one of them.
            seed: decides the random ones.

        Returns:
            (n,) int64.

        Raises:
            ValueError: If the policy is unknown, or as `predict_proba`.
        """
        if tie_break_policy not in (ABSTAIN_AT_TIES, RANDOM_AT_TIES):
            raise ValueError(
                f"tie_break_policy must be {ABSTAIN_AT_TIES!r} or {RANDOM_AT_TIES!r}. Received: "
                f"{tie_break_policy!r}"
            )
        probabilities = self.predict_proba(votes)
        best = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-6
        chance = np.random.default_rng(seed).random(best.shape)
        found = np.where(best, chance, -1.0).argmax(axis=1)
        unknown = ~(np.asarray(votes) != ABSTAIN).any(axis=1)
        if tie_break_policy == ABSTAIN_AT_TIES:
            unknown |= best.sum(axis=1) > 1
        return np.where(unknown, ABSTAIN, found)


class MajorityVote(VoteModel):
    """The class with the most votes; classes with equally many share the probability."""

    def _scores(self, votes: np.ndarray) -> np.ndarray:
        counts = vote_counts(votes, self.n_classes)
        top = counts == counts.max(axis=1, keepdims=True)
        return np.asarray(top / top.sum(axis=1, keepdims=True))


class VoteShare(VoteModel):
    """Each class has its share of the votes as its probability."""

    def _scores(self, votes: np.ndarray) -> np.ndarray:
        counts = vote_counts(votes, self.n_classes)
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))


class LabelModel(VoteModel):
    """Weighs rules by how often they are right and by what each brings of its own; see above.

    Attributes:
        accuracies_: (m,) how often each rule is right, in [1 / k, `HIGHEST`].
        redundancy_: (m,) in [0, 1], the share of each rule that no other rule says too; 0 if it is left out.
        used_: (m,) bool, which rules count.
        left_out_: rule number to the reason why it does not count.
    """

    def _fit(self, votes: np.ndarray, gold: np.ndarray | None) -> None:
        n, m = votes.shape
        known = np.full(n, ABSTAIN) if gold is None else gold
        # Few different rows stand for all: what follows does not depend on n, nor on the order of the rows.
        rows, counts = _different_rows([votes, known[:, None]], self.n_classes)
        patterns, truth, weight = rows[:, :m], rows[:, m], counts.astype(np.float64)
        fired = weight @ (patterns != ABSTAIN)
        self.left_out_ = _left_out(patterns, fired, n)
        self.used_ = np.array([number not in self.left_out_ for number in range(m)], bool)
        used = self.used_
        self.redundancy_ = np.zeros(m)
        self.redundancy_[used] = _redundancy(patterns[:, used], weight, fired[used], self.n_classes)
        said = np.stack([weight @ (patterns == number) for number in range(self.n_classes)], axis=1)
        highest = np.minimum(said, n * self._prior).sum(axis=1) / np.maximum(fired, 1.0)
        highest = np.clip(highest, 1.0 / self.n_classes, HIGHEST)
        judged = np.eye(self.n_classes)[truth] * (truth != ABSTAIN)[:, None]

        def accuracies(shares: np.ndarray) -> np.ndarray:
            """From (p, k) probabilities of the patterns, or zeros where nothing is known."""
            right = np.zeros(m)
            for number in range(self.n_classes):
                right += (weight * shares[:, number]) @ (patterns == number)
            known = (weight * shares.sum(axis=1)) @ (patterns != ABSTAIN)
            shrunk = (right + PRIOR_ACCURACY * PRIOR_VOTES) / (known + PRIOR_VOTES)
            return np.asarray(np.clip(shrunk, 1.0 / self.n_classes, highest))

        self.accuracies_ = accuracies(judged)
        moves = np.ones(m, bool)
        for _ in range(_ROUNDS):
            shares = np.where((truth != ABSTAIN)[:, None], judged, self._scores(patterns))
            before, self.accuracies_ = self.accuracies_, np.where(moves, accuracies(shares), self.accuracies_)
            if np.abs(self.accuracies_ - before).max(initial=0.0) < _SETTLED:
                break
            # A rule of one class would follow what it has itself moved.
            moves = (said > 0).sum(axis=1) > 1

    @property
    def weights_(self) -> np.ndarray:
        """What a vote of each rule adds to the logarithm of its class: (m,), 0 for a rule left out."""
        odds = np.log(self.accuracies_ * (self.n_classes - 1) / (1.0 - self.accuracies_))
        return np.where(self.used_, self.redundancy_ * odds, 0.0)

    def _scores(self, votes: np.ndarray) -> np.ndarray:
        if votes.shape[1] != len(self.used_):
            raise ValueError(
                f"votes must be of the {len(self.used_)} rules that the model was fitted on. Received: "
                f"{votes.shape[1]} columns"
            )
        scores = vote_counts(votes, self.n_classes, self.weights_)
        scores += np.log(self._prior)
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))


def _different_rows(parts: Sequence[np.ndarray], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns each different row of numbers in [-1, k) once, and how often it occurs.

    The parts stand side by side, in the smallest integers that hold the numbers.
    Rows are compared as bytes: `np.unique` with an axis compares them number by number, which takes much
    longer.
    """
    small = np.min_scalar_type(-k)
    compact = np.ascontiguousarray(np.hstack([part.astype(small, copy=False) for part in parts]))
    as_bytes = compact.view(np.dtype((np.void, compact.itemsize * compact.shape[1]))).ravel()
    _, first, counts = np.unique(as_bytes, return_index=True, return_counts=True)
    return compact[first], counts


def _left_out(patterns: np.ndarray, fired: np.ndarray, n: int) -> dict[int, str]:
    """Returns the rules that say one class of nearly everything; none if these are all rules."""
    found = {}
    for rule, count in enumerate(fired):
        said = np.unique(patterns[:, rule])
        if (said != ABSTAIN).sum() == 1 and count > BROAD * n:
            found[rule] = f"it says one class of {count / max(n, 1):.0%} of all examples"
    return {} if len(found) == len(fired) else found


def _redundancy(patterns: np.ndarray, weight: np.ndarray, fired: np.ndarray, k: int) -> np.ndarray:
    """Returns (m,) the share of each rule's votes that is its own.

    Near copies of a rule, by the Jaccard similarity of their votes, count as one rule together. Each rule is
    then divided by how much these groups overlap with it.
    """
    same = np.zeros((len(fired), len(fired)))
    for number in range(k):
        votes = (patterns == number).astype(np.float64)
        same += votes.T @ (votes * weight[:, None])
    fires = (patterns != ABSTAIN).astype(np.float64)
    both = fires.T @ (fires * weight[:, None])
    either = fired[:, None] + fired[None, :] - both
    jaccard = same / np.maximum(either, 1.0)
    np.fill_diagonal(jaccard, 1.0)
    of_copies = 1.0 / (jaccard**_COPY_POWER).sum(axis=1)
    return np.asarray(of_copies / (jaccard**2 @ of_copies))


def _checked_prior(prior: Sequence[float] | np.ndarray | None, k: int) -> np.ndarray:
    if prior is None:
        return np.full(k, 1.0 / k)
    shares = np.asarray(prior, np.float64)
    if shares.shape != (k,) or not (np.isfinite(shares).all() and (shares > 0).all()):
        raise ValueError(f"class_prior must be {k} positive numbers. Received: {prior!r}")
    return np.asarray(shares / shares.sum())


def _checked_gold(gold: np.ndarray | None, n: int, k: int) -> np.ndarray | None:
    if gold is None:
        return None
    ids = np.asarray(gold)
    if ids.shape != (n,) or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"gold must be {n} class ids. Received: {ids.dtype} of shape {ids.shape}")
    if n and not (ids.min() >= ABSTAIN and ids.max() < k):
        raise ValueError(f"gold must lie in [-1, {k - 1}]. Received: ids from {ids.min()} to {ids.max()}")
    return ids
