"""What rules say of a pool, as a source of labels for the head."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.export import RuleGraph
from tfautolabel.features import Extraction
from tfautolabel.labeler.trained import Trained
from tfautolabel.labeler.votes_to_head import learn_from_votes
from tfautolabel.labeler.voting import Voters, Voting
from tfautolabel.rules import Votes, cast_votes, read_rules
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.votes import Failures

Rules = str | os.PathLike[str] | Sequence[Rule] | RuleGraph
"""A file of rules, rules, or those that a model can hold."""


@dataclass(frozen=True, eq=False)
class WeakLabels:
    """Votes on examples whose features are known.

    Attributes:
        votes: of m rules on p examples.
        features: (p, d) float32.
        all_votes: (n, m) votes of the same rules on all examples, by which each rule is judged.
        graph: those of the rules that a model can hold; their votes may count at prediction too. None for
            none.
    """

    votes: Votes
    features: np.ndarray
    all_votes: np.ndarray
    graph: RuleGraph | None = None

    @classmethod
    def of(
        cls,
        votes: Votes,
        extraction: Extraction,
        all_votes: np.ndarray | None = None,
        graph: RuleGraph | None = None,
    ) -> WeakLabels:
        """Puts votes and features together.

        Args:
            votes: on all examples of a data set.
            extraction: of the same data set.
            all_votes: (n, m), if the data set is a part that was not drawn at random; by default, `votes`.
            graph: see the class.
        """
        everything = votes.matrix if all_votes is None else all_votes
        return cls(votes.subset(extraction.rows), extraction.features, everything, graph)

    kind = "rules"

    @property
    def known(self) -> np.ndarray:
        """Which classes some rule has voted for: (k,) bool."""
        cast = self.votes.matrix[self.votes.matrix >= 0]
        return np.bincount(cast, minlength=len(self.votes.classes)) > 0

    def train(
        self,
        head: keras.Model,
        examples: Dataset,
        features: np.ndarray,
        class_ids: np.ndarray,
        weights: dict[int, float] | None,
        seed: int,
    ) -> Trained:
        """See `tfautolabel.labeler.teacher.Teacher`; classes weigh as usual."""
        del weights  # refused by `tfautolabel.labeler.teacher.check_can_be_taught`
        learnt = learn_from_votes(
            head,
            self.features,
            self.votes.matrix,
            features,
            class_ids,
            seed=seed,
            all_votes=self.all_votes,
            voters=None if self.graph is None else self._voters(self.graph, examples),
        )
        record = {"asked": "feature", "method": "feature"}
        voting = None
        if self.graph is not None and learnt.mixing is not None:
            voting = Voting(self.graph, learnt.mixing)
        return Trained(
            learnt.history, learnt.out_of_fold, learnt.n_folds, "auto", features, record, learnt.record,
            voting=voting,
        )  # fmt: skip

    def _voters(self, graph: RuleGraph, examples: Dataset) -> Voters:
        place = {name: number for number, name in enumerate(self.votes.names)}
        columns = np.array([place[name] for name in graph.names], np.int64)
        class_ids = np.array(graph.class_ids, np.int64)
        return Voters(columns, class_ids, graph.votes(examples), self.votes.names)


def weak_labels(
    rules: Rules | WeakLabels | None,
    pool: Dataset | None,
    classes: Sequence[str],
    extract: Callable[[Dataset], Extraction],
    progress: bool,
) -> WeakLabels | None:
    """Applies rules to a pool, unless that was done before.

    Args:
        rules: what `Labeler.fit` takes.
        pool: n examples.
        classes: k names.
        extract: makes an extraction.
        progress: shows a progress bar where standard error is a terminal.

    Raises:
        ValueError: If the rules cannot be used, or there is no pool.
        FileNotFoundError: If the file of rules does not exist.
    """
    if rules is None or isinstance(rules, WeakLabels):
        return rules
    if pool is None:
        raise ValueError("rules vote on examples: pool=. Received: rules without a pool")
    if isinstance(rules, RuleGraph):
        rules.check_classes(classes)
        none = tuple(Failures() for _ in rules.names)
        votes = Votes(rules.votes(pool), pool.ids, tuple(classes), rules.names, none, ())
        return WeakLabels.of(votes, extract(pool), graph=rules)
    if isinstance(rules, (str, os.PathLike)):
        found: Sequence[Rule] = read_rules(rules)
    else:
        found = rules
    return WeakLabels.of(cast_votes(found, pool, classes, progress=progress), extract(pool))
