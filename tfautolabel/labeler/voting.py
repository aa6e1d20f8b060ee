"""Votes at prediction: whether held-out labels say that votes on an example help to label it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.export import RuleGraph
from tfautolabel.heads.voting import VoteMixing
from tfautolabel.labeler.linear_model import Linear
from tfautolabel.rules import LabelModel

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Voting:
    """What makes the labels of a fitted labeler depend on votes.

    Attributes:
        graph: the rules; the exported model holds the same.
        mixing: counts their votes.
    """

    graph: RuleGraph
    mixing: VoteMixing


@dataclass(frozen=True, eq=False)
class Voters:
    """Rules that can vote wherever a label is made, among all rules that teach a head.

    Attributes:
        columns: (r,) int64, their places among all m rules.
        class_ids: (r,) int64, the class of each.
        votes: (g, r) of them on the labelled examples.
        names: of all m rules.
    """

    columns: np.ndarray
    class_ids: np.ndarray
    votes: np.ndarray
    names: Sequence[str]

    def mixing(self, model: LabelModel, of_labels: Linear) -> VoteMixing:
        """Returns what counts the votes of these rules.

        Args:
            model: fitted on the votes of all rules.
            of_labels: what has learnt from labels alone.
        """
        of_class = np.eye(model.n_classes)[self.class_ids]
        shares = vote_weights(model)[self.columns, None] * of_class
        log_odds = model.weights_[self.columns, None] * of_class
        return VoteMixing(shares, log_odds, of_labels.weights, of_labels.bias, name="vote_mixing")

    def missing(self, model: LabelModel, votes: np.ndarray) -> list[str]:
        """Returns the names of rules that count, by their (n, m) votes, and are none of these."""
        counts = (vote_weights(model) > 0.0) & (votes >= 0).any(axis=0)
        counts[self.columns] = False
        return [self.names[number] for number in np.flatnonzero(counts).tolist()]


@dataclass(frozen=True, eq=False)
class HeldOutHeads:
    """The labelled examples, each judged by heads that have not seen it.

    Attributes:
        features: (g, d) float32, normalised.
        class_ids: (g,) int64.
        probabilities: (g, k) float32, by the way that was taken.
        of_labels: rows, and a head of all other labels alone, for each fold.
    """

    features: np.ndarray
    class_ids: np.ndarray
    probabilities: np.ndarray
    of_labels: Sequence[tuple[np.ndarray, Linear]]

    def with_votes(self, voters: Voters, model: LabelModel) -> np.ndarray:
        """Returns (g, k) float32, the probabilities if the votes on each example counted too."""
        found = self.probabilities.copy()
        for rows, head in self.of_labels:
            mixed = voters.mixing(model, head)(found[rows], self.features[rows], voters.votes[rows])
            found[rows] = np.asarray(mixed)
        return found


def vote_weights(model: LabelModel) -> np.ndarray:
    """Returns (m,): what a vote of each rule counts among the shares of the votes; see `soft_labels`."""
    return np.asarray(model.redundancy_ * np.maximum(model.accuracies_ - 1.0 / model.n_classes, 0.0))


def scores(probabilities: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Returns (g,) how bad the probabilities of each example are: its log loss, capped, plus its error.

    A single confident mistake must not decide, and equal errors must not be all that counts.
    """
    loss = -np.log(np.maximum(probabilities[np.arange(len(class_ids)), class_ids], 0.05))
    return np.asarray(loss + (probabilities.argmax(axis=1) != class_ids))


def judge_votes(
    held_out: HeldOutHeads, voters: Voters, model: LabelModel, votes: np.ndarray
) -> tuple[dict[str, Any], np.ndarray | None]:
    """Says whether votes are to count at prediction: if every rule that counts can vote, and it helps.

    It helps if no more held-out labels are wrong with them, and the probabilities are better.

    Args:
        held_out: what heads say of the labelled examples.
        voters: the rules that can vote.
        model: fitted on the votes of all rules.
        votes: (n, m) votes of all rules.

    Returns:
        For a record, whether they "count", "why", and the held-out "accuracies" without and with them; and
        the (g, k) probabilities with them if they count.
    """
    missing = voters.missing(model, votes)
    if missing:
        shown = ", ".join(map(repr, missing[:_SHOWN])) + (", …" if len(missing) > _SHOWN else "")
        return no_votes(f"rules that count cannot be in the model: {shown}"), None
    found = held_out.with_votes(voters, model)

    def accuracy(probabilities: np.ndarray) -> float:
        return round(float((probabilities.argmax(axis=1) == held_out.class_ids).mean()), 4)

    right = {"without": accuracy(held_out.probabilities), "with": accuracy(found)}
    gain = scores(held_out.probabilities, held_out.class_ids) - scores(found, held_out.class_ids)
    said = f"{right['with']:.1%} of held-out labels are right with them, {right['without']:.1%} without"
    if right["with"] < right["without"] or not gain.mean() > 0.0:
        return no_votes(f"held-out labels show no gain ({said})") | {"accuracies": right}, None
    why = f"where a head of the labels agrees, the votes on an example count for its label too: {said}"
    return {"count": True, "why": why, "accuracies": right}, found


def no_votes(why: str) -> dict[str, Any]:
    """Returns what a record says of votes that do not count at prediction."""
    return {
        "count": False,
        "why": f"labels do not depend on the votes in the model: {why}",
        "accuracies": {},
    }
