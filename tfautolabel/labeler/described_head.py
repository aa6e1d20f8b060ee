"""What a linear head learns from descriptions, and from labels if there are some.

Without labels, it learns the probabilities that the descriptions give to examples without labels: one round
of self-training (Lee, Pseudo-Label, ICML workshops 2013), which gained up to three points over the
descriptions themselves where these are better than chance, whatever the shares of the classes.

With labels, three heads are candidates: of the labels alone, of the descriptions alone, and of both, in which
the descriptions weigh as much as some labels a class. Each has a share by the likelihood of held-out labels,
so descriptions that do not fit lose theirs. The mean of the three is linear too, so the exported model needs
nothing else. What was chosen on, and what is measured, stands in `benchmarks/descriptions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from tfautolabel.data.folds import stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads import LinearHead
from tfautolabel.heads.softmax_regression import CS, USUAL_C, fit_softmax_regression
from tfautolabel.labeler.linear_model import Linear, fit_class_weights, history_of, normalized

WEAK_C = 3000.0
"""C for the head that learns descriptions alone, divided by the number of examples."""
WORTH_LABELS = 20.0
"""In the head of both, descriptions weigh as much as so many labels a class."""
BESIDE = 300
"""So many examples carry them there."""
FEW_LABELS = 8
"""If a class has fewer labels, shares are found again without each fold that they judge."""

_SURE = 0.02
_LEAST = 0.02
"""Smaller probabilities of a held-out label count as this: no single mistake decides."""

LABELS, DESCRIPTIONS, BOTH = "labels", "descriptions", "both"


@dataclass(frozen=True, eq=False)
class LearntFromDescriptions:
    """The results besides the head.

    Attributes:
        history: a `keras.callbacks.History` with the accuracy on held-out labels, if there are any.
        out_of_fold: (g, k) float32, the probabilities of each labelled example from a head that has not seen
            it.
        n_folds: how many such heads there were.
        record: what was learnt, ready for JSON: "why" in one sentence; the "shares" of the candidates; and,
            with labels, what the descriptions are "worth": the share of held-out labels that are right
            "with" and "without" them, and the gain in the mean log-likelihood in "nats".
    """

    history: Any
    out_of_fold: np.ndarray
    n_folds: int
    record: dict[str, Any]


def learn_described(
    head: LinearHead,
    features: np.ndarray,
    probabilities: np.ndarray,
    gold_features: np.ndarray,
    gold_ids: np.ndarray,
    *,
    weights: dict[int, float] | None = None,
    seed: int = 0,
) -> LearntFromDescriptions:
    """Trains a head on what descriptions say of examples without labels, and on labels.

    Args:
        head: trained in place; its own values of C are tried where only labels count.
        features: (p, d) float32, of examples without labels.
        probabilities: (p, k) float32, theirs by the descriptions.
        gold_features: (g, d) float32, of the labelled examples; g may be 0.
        gold_ids: (g,) int64 in [0, k).
        weights: class id to weight; by default `share_weights`.
        seed: determines the folds.
    """
    gold_features = np.asarray(gold_features, np.float32).reshape(-1, head.feature_dim)
    gold_ids = np.asarray(gold_ids, np.int64)
    head.normalization.adapt(np.concatenate([features, gold_features]))
    pool = normalized(head, features)
    alone = learn_softly(pool, probabilities)
    if not len(gold_ids):
        head.dense.set_weights([alone.weights, alone.bias])
        record = {
            "why": "there are no labels, so the head follows the descriptions; nothing calibrates it",
            "shares": {DESCRIPTIONS: 1.0},
            "worth": None,
        }
        out_of_fold = np.zeros((0, head.n_classes))
        return LearntFromDescriptions(history_of(head, out_of_fold, gold_ids), out_of_fold, 0, record)
    candidates = _Candidates(head, pool, alone, weights, seed)
    gold = normalized(head, gold_features)
    found, shares, held_out, out_of_fold, n_folds = _mixed(candidates, gold, gold_ids)
    head.dense.set_weights([found.weights, found.bias])
    record = _record(shares, held_out, out_of_fold, gold_ids)
    history = history_of(head, out_of_fold, gold_ids)
    return LearntFromDescriptions(history, out_of_fold, n_folds, record)


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Heads to choose from."""

    head: LinearHead
    pool: np.ndarray
    alone: Linear
    weights: dict[int, float] | None
    seed: int

    def names(self, class_ids: np.ndarray) -> tuple[str, ...]:
        """Returns the candidates; labels alone know nothing of a class without one."""
        every = len(np.unique(class_ids)) == self.head.n_classes
        return (LABELS, DESCRIPTIONS, BOTH) if every else (DESCRIPTIONS, BOTH)

    def folds(self, features: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
        if len(class_ids) < 2:
            return np.zeros(len(class_ids), np.int64)
        return stratified_folds(class_ids, self.head.n_folds, self.seed, content=features)

    def per_example(self, class_ids: np.ndarray) -> np.ndarray:
        found = share_weights(class_ids, self.head.n_classes) if self.weights is None else self.weights
        return np.array([1.0 if found is None else found.get(int(one), 1.0) for one in class_ids], np.float32)

    def of_labels(
        self, features: np.ndarray, class_ids: np.ndarray, folds: np.ndarray
    ) -> tuple[Linear, np.ndarray]:
        """Returns the head that would be there without descriptions, and its held-out probabilities."""
        found = fit_softmax_regression(
            features, class_ids, self.head.n_classes, folds=folds, Cs=self.head.Cs or CS,
            sample_weight=self.per_example(class_ids),
        )  # fmt: skip
        return Linear(found.weights, found.bias), np.asarray(found.out_of_fold)

    def of_both(self, features: np.ndarray, class_ids: np.ndarray) -> Linear:
        """Fits labels, and beside them examples with the probabilities that descriptions give."""
        k = self.head.n_classes
        rows = np.arange(len(self.pool))
        if len(rows) > BESIDE:
            rows = np.random.default_rng(self.seed).choice(len(rows), BESIDE, replace=False)
        beside = self.pool[rows]
        given = self.alone(beside) * (WORTH_LABELS * k / len(rows))
        each = np.concatenate([np.eye(k)[class_ids] * self.per_example(class_ids)[:, None], given])
        return fit_class_weights(np.concatenate([features, beside]), each, USUAL_C)

    def fit(
        self, name: str, features: np.ndarray, class_ids: np.ndarray, folds: np.ndarray
    ) -> tuple[Linear, np.ndarray]:
        """Returns one candidate, and its held-out probabilities."""
        if name == LABELS:
            return self.of_labels(features, class_ids, folds)
        if name == DESCRIPTIONS:
            return self.alone, self.alone(features)
        held_out = np.empty((len(features), self.head.n_classes), np.float32)
        for number in np.unique(folds):
            rows = folds == number
            held_out[rows] = self.of_both(features[~rows], class_ids[~rows])(features[rows])
        return self.of_both(features, class_ids), held_out


Fitted = dict[str, tuple[Linear, np.ndarray]]


def _mixed(
    candidates: _Candidates, features: np.ndarray, class_ids: np.ndarray
) -> tuple[Linear, dict[str, float], Fitted, np.ndarray, int]:
    """Returns the head, the shares, all candidates, the head's held-out probabilities, and the folds."""
    folds = candidates.folds(features, class_ids)
    fitted, shares = _shares(candidates, features, class_ids, folds)
    numbers = np.unique(folds)
    counts = np.bincount(class_ids, minlength=candidates.head.n_classes)
    out_of_fold = np.empty((len(features), candidates.head.n_classes), np.float32)
    for number in numbers:
        rows = folds == number
        if counts.min() < FEW_LABELS:
            kept, ids = features[~rows], class_ids[~rows]
            inner, chosen = _shares(candidates, kept, ids, candidates.folds(kept, ids))
            out_of_fold[rows] = _mean({name: one for name, (one, _) in inner.items()}, chosen)(features[rows])
        else:
            logs = {name: np.log(np.maximum(found[rows], 1e-9)) for name, (_, found) in fitted.items()}
            chosen = _by_likelihood(
                {name: found[~rows] for name, (_, found) in fitted.items()}, class_ids[~rows]
            )
            out_of_fold[rows] = softmax(sum(chosen[name] * logs[name] for name in chosen), axis=1)
    head = _mean({name: one for name, (one, _) in fitted.items()}, shares)
    return head, shares, fitted, out_of_fold, len(numbers)


def _shares(
    candidates: _Candidates, features: np.ndarray, class_ids: np.ndarray, folds: np.ndarray
) -> tuple[Fitted, dict[str, float]]:
    """Fits all candidates and returns them with their shares."""
    if not len(class_ids):
        return {DESCRIPTIONS: (candidates.alone, np.zeros((0, candidates.head.n_classes)))}, {
            DESCRIPTIONS: 1.0
        }
    fitted = {name: candidates.fit(name, features, class_ids, folds) for name in candidates.names(class_ids)}
    return fitted, _by_likelihood({name: found for name, (_, found) in fitted.items()}, class_ids)


def _by_likelihood(held_out: dict[str, np.ndarray], class_ids: np.ndarray) -> dict[str, float]:
    """Returns each candidate's share, by the likelihood of held-out labels."""
    rows = np.arange(len(class_ids))
    scores = np.array(
        [np.log(np.maximum(found[rows, class_ids], _LEAST)).sum() for found in held_out.values()]
    )
    return dict(zip(held_out, softmax(scores).tolist(), strict=True))


def _mean(heads: dict[str, Linear], shares: dict[str, float]) -> Linear:
    return Linear(
        np.asarray(sum(shares[name] * one.weights for name, one in heads.items()), np.float32),
        np.asarray(sum(shares[name] * one.bias for name, one in heads.items()), np.float32),
    )


def _record(
    shares: dict[str, float], fitted: Fitted, out_of_fold: np.ndarray, class_ids: np.ndarray
) -> dict[str, Any]:
    rounded = {name: round(share, 4) for name, share in shares.items()}
    if LABELS not in fitted:
        why = "a class has no label, so only the descriptions know it: the head follows both"
        return {"why": why, "shares": rounded, "worth": None}
    without = fitted[LABELS][1]
    rows = np.arange(len(class_ids))

    def judged(found: np.ndarray) -> tuple[float, float]:
        own = np.maximum(found[rows, class_ids], _LEAST)
        return float((found.argmax(axis=1) == class_ids).mean()), float(np.log(own).mean())

    (with_right, with_log), (right, log) = judged(out_of_fold), judged(without)
    worth = {
        "with": round(with_right, 4),
        "without": round(right, 4),
        "nats": round(with_log - log, 4),
    }
    told = f"{with_right:.1%} of held-out labels are right with them, {right:.1%} without"
    used = 1.0 - shares[LABELS]
    if used < 0.05:
        why = f"the descriptions add nothing that the labels show, and are not used: {told}"
    else:
        why = f"the descriptions have {used:.0%} of the say, by the likelihood of held-out labels: {told}"
    return {"why": why, "shares": rounded, "worth": worth}


def learn_softly(features: np.ndarray, probabilities: np.ndarray) -> Linear:
    """Fits a linear model to soft labels: each example counts for every class that it may have.

    Args:
        features: (p, d) float32, normalised.
        probabilities: (p, k) float32, rows sum to 1.

    Returns:
        The model.
    """
    likely = np.where(probabilities > _SURE, probabilities, 0.0)
    rows = np.flatnonzero(likely.any(axis=1))
    return fit_class_weights(features[rows], likely[rows], WEAK_C / len(features))
