"""The rules of a run: their votes on the pool, what the head learns from, and the record's entries."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from tfautolabel.export import RuleGraph
from tfautolabel.features import Extraction
from tfautolabel.jobs.rules_in_model import without_stopped
from tfautolabel.jobs.tally import Clock
from tfautolabel.labeler import Labeler
from tfautolabel.labeler.description_rule import DescriptionRule
from tfautolabel.labeler.weak_labels import WeakLabels
from tfautolabel.labels import ABSTAIN, Labels
from tfautolabel.rules import RuleAnalysis, Votes, cast_votes
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.votes import vote_counts
from tfautolabel.runs.inputs import Inputs, Source, fields_of

LEARNT = 10_000
"""So many covered examples teach the head at most; more change little and would be extracted first."""

WITHOUT = "Right without"
"""The column that says how often a head of all other rules is right on the labels."""

CONFLICTS = 50
"""So many examples about which rules disagree are named in the record."""


class RuleVotes:
    """The votes of a run's rules on its pool.

    Args:
        votes: on every example of the pool.
        rows: the examples of the pool whose votes the head learns from.
        extraction: of these examples.
        graph: those of the rules that the exported model is to hold; None for none.

    Attributes:
        votes: as given.
        extraction: as given.
        weak: what the head learns from.
        by_rules: how many labels agree with most of the votes for their example.
    """

    def __init__(
        self, votes: Votes, rows: np.ndarray, extraction: Extraction, graph: RuleGraph | None = None
    ) -> None:
        self.votes = votes
        self.extraction = extraction
        self.weak = WeakLabels.of(votes.subset(rows), extraction, votes.matrix, without_stopped(graph, votes))
        self.by_rules = 0
        self._start = 0

    @classmethod
    def of(
        cls,
        labeler: Labeler,
        inputs: Inputs,
        source: Source,
        clock: Clock,
        say: Callable[[str], None],
        graph: RuleGraph | None = None,
    ) -> RuleVotes | None:
        """Applies the rules of a run to its pool; None if it has no rules."""
        if not inputs.rules:
            return None
        fields = fields_of(source, inputs.rules, inputs.pool.modality)
        rules: tuple[Rule, ...] = inputs.rules
        if labeler.descriptions is not None:
            extract = replace(labeler.reading, progress=False).extract
            rules = (*rules, DescriptionRule(labeler.descriptions, labeler.backbone, extract))
        with clock("rules"):
            votes = cast_votes(rules, inputs.pool, labeler.classes, fields=fields, progress=labeler.progress)
        for sentence in votes.sentences():
            say(sentence)
        covered = votes.covered
        say(f"{len(rules):,} rules vote on {int(covered.sum()):,} of {len(inputs.pool):,} examples")
        rows = rows_to_learn_from(covered, labeler.seed)
        with clock("features"):
            return cls(votes, rows, labeler.extract(inputs.pool.subset(rows)), graph)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with any vote, whatever file or list of terms it comes from."""
        known = json.dumps([self.votes.names, self.votes.classes]).encode()
        return hashlib.sha256(known + self.votes.matrix.tobytes()).hexdigest()

    def label(self, extraction: Extraction, labels: Labels) -> Labels:
        """Returns the labels of the pool's next part; what most rules gave too has "rule" as its origin.

        Args:
            extraction: of a part of the pool.
            labels: of the m examples of this part that could be read.
        """
        rows = self._start + np.asarray(extraction.rows)
        self._start += len(extraction.rows) + len(extraction.unreadable)
        matrix = self.votes.matrix[rows]
        counts = vote_counts(matrix, len(labels.classes))
        own = counts[np.arange(len(counts)), labels.probabilities.argmax(axis=1)]
        by_rules = (own > 0) & (own == counts.max(axis=1, initial=0)) & (labels.origin == "model")
        self.by_rules += int(np.count_nonzero(by_rules))
        return replace(labels, origin=np.where(by_rules, "rule", labels.origin))

    def record(self, learnt: dict[str, Any] | None) -> dict[str, Any]:
        """Returns the entries of run.json.

        Args:
            learnt: what the labeler's head learnt from the rules.
        """
        votes = self.votes
        analysis = RuleAnalysis(votes.matrix, votes.classes, votes.names)
        table = analysis.summary()
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        worth = (learnt or {}).get("worth")
        if worth is not None:
            rows = [row | {WITHOUT: one} for row, one in zip(rows, worth["without"], strict=True)]
        return {
            **(learnt or {}),
            "rules": rows,
            "findings": [*votes.sentences(), *analysis.findings(left_out=votes.stopped)],
            "covered": int(votes.covered.sum()),
            "examples": len(votes),
            "stopped": votes.stopped,
            "by_rules": self.by_rules,
            "conflicts": [
                {"id": str(votes.ids[row]), "votes": self._counted(row)}
                for row in conflicts(votes.matrix, CONFLICTS).tolist()
            ],
        }

    def _counted(self, row: int) -> dict[str, int]:
        """Returns class to its number of votes for one example, the most first."""
        cast = Counter(self.votes.matrix[row][self.votes.matrix[row] != ABSTAIN].tolist())
        return {self.votes.classes[number]: count for number, count in cast.most_common()}


def rows_to_learn_from(covered: np.ndarray, seed: int) -> np.ndarray:
    """Draws the examples that teach a head: covered ones, and as many others for its self-training.

    Args:
        covered: (n,) bool, which examples have a vote.
        seed: decides which are drawn.

    Returns:
        Ascending rows, at most `LEARNT` of each kind.
    """
    rng = np.random.default_rng(seed)
    most = min(LEARNT, int(covered.sum()))
    drawn = [rng.permutation(np.flatnonzero(kind))[:most] for kind in (covered, ~covered)]
    return np.sort(np.concatenate(drawn))


def conflicts(matrix: np.ndarray, most: int) -> np.ndarray:
    """Returns rows on which rules disagree, those with the most votes against the winner first.

    Args:
        matrix: (n, m) votes.
        most: how many rows at most.
    """
    cast = matrix != ABSTAIN
    first = np.where(cast, matrix, np.iinfo(matrix.dtype).max).min(axis=1, initial=np.iinfo(matrix.dtype).max)
    rows = np.flatnonzero((cast & (matrix != first[:, None])).any(axis=1))
    if not len(rows):
        return rows
    counts = vote_counts(matrix[rows], int(matrix.max()) + 1)
    counts.sort(axis=1)
    against, total = counts[:, :-1].sum(axis=1), counts.sum(axis=1)
    order = np.lexsort((rows, -total, -against / total))
    return np.asarray(rows[order][:most])
