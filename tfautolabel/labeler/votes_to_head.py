"""What a linear head learns from the votes of rules, and from labels if there are some.

Votes become soft labels of the examples that they cover; examples without a vote say nothing at first. A soft
label is half the share of the votes, each weighted by what its rule brings of its own and by how much better
than chance it is, and half what the label model says: the share alone follows bad rules, and the label model
alone is too sure of rules that repeat each other. The penalty is fixed, because a head that is held out from
weak labels is judged by weak labels. One round of self-training follows (Karamanolakis et al., NAACL 2021):
the head's own predictions are mixed in, also for examples without a vote. Rules cover some classes more than
others; where labels show that, they say how common the classes are, see `tfautolabel.labeler.class_shares`.

With enough labels, cross-validation on them chooses between this way, one that keeps only those soft labels
with which a head of the labels alone agrees, and the labels alone. What was chosen on, and what is measured,
stands in `benchmarks/rule_heads.py`. It also says whether votes on an example count when it is labelled; see
`tfautolabel.labeler.voting`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from tfautolabel.data.folds import stratified_folds
from tfautolabel.heads import LinearHead
from tfautolabel.heads.voting import VoteMixing
from tfautolabel.labeler.class_shares import with_shares_of
from tfautolabel.labeler.linear_model import Linear, fit_class_weights, history_of, normalized
from tfautolabel.labeler.voting import HeldOutHeads, Voters, judge_votes, no_votes, scores, vote_weights
from tfautolabel.labels import ABSTAIN
from tfautolabel.rules import LabelModel
from tfautolabel.rules.votes import vote_counts

WEAK_C = 1.0
"""The inverse strength of the penalty: weak labels take more of it than a person's."""
GOLD_WEIGHT = 5.0
"""So many soft labels weigh as much as one label of a person."""
BALANCE = 1.0 / 3.0
"""How far the classes' shares among the soft labels are brought to each other: 0 not at all, 1 to equality.
Rules cover some classes more than others, which says little of the classes' shares."""
CHOOSES = 50
"""From so many labels on, cross-validation chooses the way; fewer cannot tell them apart."""

_ERRORS = 2.0
"""A way replaces the first one if it is better by so many standard errors on held-out labels."""
_SURE = 0.02
_N_FOLDS = 5
_JUDGED_ON = 2_000
"""So many examples with a vote teach the heads that say what each rule is worth."""

Predict = Callable[[np.ndarray], np.ndarray]
"""From normalised features to probabilities."""


@dataclass(frozen=True, eq=False)
class LearntFromVotes:
    """The results besides the head.

    Attributes:
        history: a `keras.callbacks.History` with the accuracy on held-out labels, if there are any.
        out_of_fold: (g, k) float32, the probabilities of each labelled example from a head that has not seen
            it. Such a head has seen the votes on the pool.
        n_folds: how many such heads there were.
        record: what was learnt, ready for JSON: the "way", "why" it was taken in one sentence, the held-out
            "accuracies" of all ways that were tried, what the label model says of each rule, and their
            "worth": with enough labels, how often heads of the rules alone are right on them, of "all" rules
            and "without" each; None for one that has nothing left to learn from. With voters, also whether
            their "votes" count at prediction.
        mixing: counts votes at prediction; None if they do not count.
    """

    history: Any
    out_of_fold: np.ndarray
    n_folds: int
    record: dict[str, Any]
    mixing: VoteMixing | None = None


@dataclass(frozen=True, eq=False)
class _Pool:
    """Examples with votes: (p, d) normalised features, (p, k) soft labels, and (p,) which are covered."""

    features: np.ndarray
    soft: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True, eq=False)
class _Gold:
    """Labelled examples: (g, d) normalised features and (g,) class ids."""

    features: np.ndarray
    class_ids: np.ndarray

    def some(self, rows: np.ndarray) -> _Gold:
        return _Gold(self.features[rows], self.class_ids[rows])


def learn_from_votes(
    head: LinearHead,
    features: np.ndarray,
    votes: np.ndarray,
    gold_features: np.ndarray,
    gold_ids: np.ndarray,
    *,
    seed: int = 0,
    all_votes: np.ndarray | None = None,
    voters: Voters | None = None,
) -> LearntFromVotes:
    """Trains a head on votes and labels.

    Args:
        head: trained in place; its own values of C are tried where only labels count.
        features: (p, d) float32, of the examples that rules looked at.
        votes: (p, m) class ids, -1 for no vote.
        gold_features: (g, d) float32, of the labelled examples; g may be 0.
        gold_ids: (g,) int64 in [0, k).
        seed: determines the folds.
        all_votes: (n, m), on all examples, if `features` are of some of them, such as those with a vote.
            Rules are judged on all: a rule that fires on half of all examples may fire on nearly all that
            have a vote, but it does not say one class of everything. By default, `votes`.
        voters: rules that can vote wherever a label is made, with their votes on the labelled examples: with
            enough labels, it is tried whether this helps. None for none.

    Returns:
        The results besides the head.

    Raises:
        ValueError: If there is no label, and no vote that says more than chance.
    """
    k = head.n_classes
    if not len(gold_ids) and not (np.asarray(votes) != ABSTAIN).any():
        raise ValueError("rules must vote on at least one example that can be read. Received: no vote")
    votes = np.asarray(votes)
    judged = votes if all_votes is None else np.asarray(all_votes)
    model = LabelModel(k).fit(judged)
    gold_features = np.asarray(gold_features, np.float32).reshape(-1, head.feature_dim)
    head.normalization.adapt(np.concatenate([features, gold_features]))
    soft, covered = soft_labels(model, votes)
    if not len(gold_ids) and not covered.any():
        raise ValueError(
            "without labels, a rule must tell examples apart. Received: rules that each say one class of "
            "nearly all examples, or are right no more often than chance"
        )
    gold = _Gold(normalized(head, gold_features), np.asarray(gold_ids, np.int64))
    pool = _Pool(normalized(head, features), soft, covered)
    of_labels = functools.cache(lambda: _gold_head(head, gold, seed))
    if not len(gold.class_ids):
        why = "there are no labels, so the head follows the rules"
        chosen = _Chosen("rules", why, np.zeros((0, k), np.float32), 0, {}, [])
    else:
        chosen = _choose(head, pool, gold, k, seed)
    found, out_of_fold = _WAYS[chosen.way](pool, gold, k, of_labels), chosen.out_of_fold
    mixing = said_of_votes = None
    if voters is not None:
        said_of_votes, mixed = _at_prediction(chosen, gold, voters, model, judged)
        if mixed is not None:
            mixing, out_of_fold = voters.mixing(model, of_labels()), mixed
    head.dense.set_weights([found.weights, found.bias])
    record = {
        "way": chosen.way,
        "why": chosen.why,
        "accuracies": chosen.accuracies,
        "estimated_accuracies": [round(float(one), 4) for one in model.accuracies_],
        "own_share": [round(float(one), 4) for one in model.redundancy_],
        "left_out": {str(number): reason for number, reason in model.left_out_.items()},
        "worth": _worth(pool, votes, judged, gold, k, seed),
    }
    if said_of_votes is not None:
        record["votes"] = said_of_votes
    history = history_of(head, out_of_fold, gold.class_ids)
    return LearntFromVotes(history, out_of_fold, chosen.n_folds, record, mixing)


def soft_labels(model: LabelModel, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns votes into soft labels; see the module.

    Args:
        model: fitted on the votes.
        votes: (p, m) class ids, -1 for no vote.

    Returns:
        (p, k) rows that sum to 1, and (p,) bool, which examples have a vote that counts.
    """
    k = model.n_classes
    counts = vote_counts(votes, k, vote_weights(model))
    total = counts.sum(axis=1, keepdims=True)
    covered = total[:, 0] > 1e-9
    share = np.where(covered[:, None], counts / np.maximum(total, 1e-9), 1.0 / k)
    return (share + model.predict_proba(votes)) / 2.0, covered


def _weak_head(pool: _Pool, gold: _Gold, k: int) -> Linear:
    """Learns from soft labels and labels, then once more with the head's own predictions."""
    first = _fit(pool, pool.soft, pool.covered.astype(np.float64), gold, k)
    own = first(pool.features)
    above_chance = np.maximum((own.max(axis=1) - 1.0 / k) / (1.0 - 1.0 / k), 0.0)
    mixed = np.where(pool.covered[:, None], (pool.soft + own) / 2.0, own)
    return _fit(pool, mixed, np.where(pool.covered, 1.0, above_chance), gold, k)


def _agreeing_head(pool: _Pool, gold: _Gold, k: int, of_gold: Predict) -> Linear:
    """Learns from those soft labels only with which a head of the labels agrees."""
    agrees = of_gold(pool.features).argmax(axis=1) == pool.soft.argmax(axis=1)
    kept = pool.covered & agrees
    return _weak_head(replace(pool, covered=kept), gold, k)


def _fit(pool: _Pool, soft: np.ndarray, weight: np.ndarray, gold: _Gold, k: int) -> Linear:
    """Fits soft labels, which count for the classes that an example may have, and labels."""
    kept = np.where(soft > _SURE, soft, 0.0) * weight[:, None]
    kept[kept <= 1e-6] = 0.0
    totals = kept.sum(axis=0)
    seen = totals > 0.0
    factor = np.ones(k)
    if seen.any():
        factor[seen] = (totals[seen].mean() / totals[seen]) ** BALANCE
    kept *= factor
    rows = np.flatnonzero(kept.any(axis=1))
    each = np.concatenate([kept[rows], GOLD_WEIGHT * np.eye(k)[gold.class_ids]])
    found = fit_class_weights(np.concatenate([pool.features[rows], gold.features]), each, WEAK_C)
    return with_shares_of(gold.class_ids, found, each.sum(axis=0), pool.soft[pool.covered].sum(axis=0))


def _gold_head(head: LinearHead, gold: _Gold, seed: int) -> Linear:
    """Fits the labels alone, as a run without rules does."""
    alone = LinearHead(
        head.feature_dim, head.n_classes, head.Cs, head.n_folds, seed, normalization=_Identity(name="same")
    )
    alone.compile()
    alone.fit(gold.features, gold.class_ids)
    weights, bias = alone.dense.get_weights()
    return Linear(weights, bias)


class _Identity(keras.layers.Layer):
    """Leaves features as they are: they are normalised already."""

    def adapt(self, features: np.ndarray) -> None:
        """Learns nothing."""

    def call(self, features: Any) -> Any:
        """Returns the same features."""
        return features


def _by_rules(pool: _Pool, gold: _Gold, k: int, _: Callable[[], Linear]) -> Linear:
    return _weak_head(pool, gold, k)


def _by_agreement(pool: _Pool, gold: _Gold, k: int, of_labels: Callable[[], Linear]) -> Linear:
    return _agreeing_head(pool, gold, k, of_labels())


def _by_labels(_: _Pool, __: _Gold, ___: int, of_labels: Callable[[], Linear]) -> Linear:
    return of_labels()


_WAYS: dict[str, Callable[[_Pool, _Gold, int, Callable[[], Linear]], Linear]] = {
    "rules": _by_rules,
    "agreeing": _by_agreement,
    "labels": _by_labels,
}
"""Name to a way to learn from a pool and labels; the first is taken unless another one is shown better."""


@dataclass(frozen=True, eq=False)
class _Chosen:
    """A way, why, its (g, k) held-out probabilities, the number of folds, and the accuracies of all ways.

    `of_labels` has the rows of each fold, and what makes a head of all other labels alone.
    """

    way: str
    why: str
    out_of_fold: np.ndarray
    n_folds: int
    accuracies: dict[str, float]
    of_labels: list[tuple[np.ndarray, Callable[[], Linear]]]


def _at_prediction(
    chosen: _Chosen, gold: _Gold, voters: Voters, model: LabelModel, votes: np.ndarray
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Returns what `judge_votes` does, once there are enough labels and the rules are of use."""
    if len(gold.class_ids) < CHOOSES:
        return no_votes(f"fewer than {CHOOSES} labels cannot tell whether that helps"), None
    if chosen.way == "labels":
        return no_votes("the rules add nothing"), None
    of_labels = [(rows, make()) for rows, make in chosen.of_labels]
    held_out = HeldOutHeads(gold.features, gold.class_ids, chosen.out_of_fold, of_labels)
    return judge_votes(held_out, voters, model, votes)


def _choose(head: LinearHead, pool: _Pool, gold: _Gold, k: int, seed: int) -> _Chosen:
    """Compares the ways on held-out labels, if there are enough."""
    g = len(gold.class_ids)
    folds = np.zeros(g, np.int64)
    if g > 1:
        folds = stratified_folds(gold.class_ids, min(_N_FOLDS, g), seed, content=gold.features)
    numbers = np.unique(folds)
    tried: tuple[str, ...] = ("rules",) if g < CHOOSES else tuple(_WAYS)
    if not pool.covered.any():
        tried = ("labels",) if g >= CHOOSES else ("rules",)
    held_out = {way: np.full((g, k), 1.0 / k, np.float32) for way in tried}
    heads: list[tuple[np.ndarray, Callable[[], Linear]]] = []
    for number in numbers:
        rows, kept = folds == number, gold.some(folds != number)
        if not (pool.covered.any() or len(kept.class_ids)):
            continue  # nothing is left to learn from: each class is as probable
        of_labels = functools.cache(functools.partial(_gold_head, head, kept, seed))
        heads.append((rows, of_labels))
        for way in tried:
            held_out[way][rows] = _WAYS[way](pool, kept, k, of_labels)(gold.features[rows])
    accuracies = {
        way: round(float((found.argmax(axis=1) == gold.class_ids).mean()), 4)
        for way, found in held_out.items()
    }
    if len(tried) == 1:
        why = f"fewer than {CHOOSES} labels cannot choose how far to follow the rules: the head follows both"
        if not pool.covered.any():
            why = "the rules add nothing: none of their votes counts"
        return _Chosen(tried[0], why, held_out[tried[0]], len(numbers), accuracies, heads)
    way = _better(held_out, gold.class_ids)
    told = way if way != "rules" or accuracies["rules"] > accuracies["labels"] else "no better"
    why = _WHY[told].format(**{name: f"{one:.1%}" for name, one in accuracies.items()})
    return _Chosen(way, why, held_out[way], len(numbers), accuracies, heads)


_WHY = {
    "rules": "rules and labels together are right on {rules} of held-out labels, labels alone on {labels}",
    "agreeing": "where a head of the labels agrees with the rules, they help: {agreeing} of held-out labels "
    "are right, {labels} with labels alone",
    "no better": "the rules add nothing that the labels show: with the rules {rules} of held-out labels are "
    "right, {labels} with labels alone",
    "labels": "the rules add nothing: labels alone are right on {labels} of held-out labels, {rules} with "
    "the rules",
}


def _better(held_out: dict[str, np.ndarray], class_ids: np.ndarray) -> str:
    """Returns the first way, or the best of those that are better beyond chance."""
    names = list(held_out)
    first, best = scores(held_out[names[0]], class_ids), names[0]
    margin = 0.0
    for name in names[1:]:
        gain = first - scores(held_out[name], class_ids)
        error = gain.std(ddof=1) / np.sqrt(len(gain))
        if gain.mean() > _ERRORS * error and gain.mean() > margin:
            best, margin = name, float(gain.mean())
    return best


def _worth(
    pool: _Pool, votes: np.ndarray, all_votes: np.ndarray, gold: _Gold, k: int, seed: int
) -> dict[str, Any] | None:
    """Returns how often heads of the rules alone are right on the labels: of all rules, and without each one.

    None if there are too few labels to tell, or nothing to learn from. The labels teach none of these heads.
    """
    if len(gold.class_ids) < CHOOSES or not pool.covered.any():
        return None
    rows = np.flatnonzero((votes != ABSTAIN).any(axis=1))
    if len(rows) > _JUDGED_ON:
        rows = np.sort(np.random.default_rng(seed).choice(rows, _JUDGED_ON, replace=False))
    some = replace(pool, features=pool.features[rows])
    nothing = gold.some(np.zeros(0, np.int64))

    def accuracy(kept: np.ndarray) -> float | None:
        if not (all_votes[:, kept] != ABSTAIN).any():
            return None
        soft, covered = soft_labels(LabelModel(k).fit(all_votes[:, kept]), votes[rows][:, kept])
        if not covered.any():
            return None
        found = _fit(some, soft, covered.astype(np.float64), nothing, k)(gold.features)
        return round(float((found.argmax(axis=1) == gold.class_ids).mean()), 4)

    rules = np.arange(votes.shape[1])
    return {"all": accuracy(rules), "without": [accuracy(rules[rules != number]) for number in rules]}
