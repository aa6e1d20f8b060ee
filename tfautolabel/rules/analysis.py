"""What rules do on a pool: a table with Snorkel's columns, and in sentences what is wrong with them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfautolabel._visible import visible
from tfautolabel.data.names import check_unique
from tfautolabel.rules.counts import RuleCounts
from tfautolabel.rules.votes import Votes

COLUMNS = ("rule", "j", "Polarity", "Coverage", "Overlaps", "Conflicts")
JUDGED = ("Correct", "Incorrect", "Emp. Acc.")

BROAD = 0.8
"""A rule that says one class on a larger share of all examples tells little, and sways what is learnt."""

SURE = 3.0
"""So many standard errors below chance count as below; each of dozens of rules is tried."""

FEWEST = 20
"""Of fewer common votes, or votes on labelled examples, nothing is said."""

FEWEST_COPIED = 5
"""Two rules with fewer votes may have the same ones by chance."""

NARROW, WIDE = 12, 24
"""Names and classes are cut to so many signs in a printed table; other cells are never cut."""


class RuleTable(NamedTuple):
    """A table with a row for each rule; `str` prints it.

    Attributes:
        columns: the names of the columns, Snorkel's except the first.
        rows: one a rule: its name, its number, the classes that it voted for, shares of all examples, and
            with labels the numbers of right and wrong votes and the share of right ones (NaN without votes).
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def to_pandas(self) -> Any:
        """Returns a pandas frame, indexed by rule: what Snorkel's `LFAnalysis.lf_summary` returns.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = importlib.import_module("pandas")
        return pandas.DataFrame(list(self.rows), columns=list(self.columns)).set_index("rule")

    def cells(self) -> list[list[str]]:
        """Returns all cells as text, the header first."""
        return [list(self.columns), *([_cell(value) for value in row] for row in self.rows)]

    def __str__(self) -> str:
        lines = [[visible(cell) for cell in line] for line in self.cells()]
        for line in lines:
            line[0], line[2] = _cut(line[0], WIDE), _cut(line[2], NARROW)
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        return "\n".join(
            " ".join(
                cell.ljust(width) if place in (0, 2) else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )


class RuleAnalysis:
    """Says what rules do on a pool, without labels or with some.

    Args:
        votes: (n, m) integers, -1 for no vote: what `apply_rules` gives, or a matrix of Snorkel's; or the
            counts of a pool that is too large for a matrix.
        classes: k names; by default the numbers from 0 to the largest vote.
        names: m names of rules; by default their numbers.

    Raises:
        ValueError: If the lengths do not agree, a vote is not valid, or names repeat.

    Examples:
        >>> votes = np.array([[0, 0, -1], [1, -1, -1], [0, 1, -1]])
        >>> print(RuleAnalysis(votes, ["bad", "good"], ["a", "b", "c"]).summary(np.array([0, 1, 1])))
        rule j Polarity  Coverage Overlaps Conflicts Correct Incorrect Emp. Acc.
        a    0 bad, good    1.000    0.667     0.333       2         1     0.667
        b    1 bad, good    0.667    0.667     0.333       2         0     1.000
        c    2              0.000    0.000     0.000       0         0         –
    """

    def __init__(
        self,
        votes: np.ndarray | Votes | RuleCounts,
        classes: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        if isinstance(votes, Votes):
            classes, names = classes or votes.classes, names or votes.names
            votes = votes.matrix
        self._matrix = None if isinstance(votes, RuleCounts) else np.asarray(votes)
        self.named = classes is not None
        if isinstance(votes, RuleCounts):
            k, m = votes.n_classes, votes.n_rules
        else:
            shape = np.shape(votes)
            m = shape[1] if len(shape) == 2 else 0
            k = len(classes) if classes is not None else int(np.max(votes, initial=0)) + 1
        self.classes = tuple(map(str, range(k))) if classes is None else tuple(classes)
        self.names = tuple(map(str, range(m))) if names is None else tuple(names)
        if len(self.classes) != k or len(self.names) != m:
            raise ValueError(
                f"there must be a name for each of {m} rules and {k} classes. Received: {len(self.names)} "
                f"names of rules, {len(self.classes)} classes"
            )
        check_unique("names of rules", self.names)
        if isinstance(votes, RuleCounts):
            self.counts = votes
        else:
            self.counts = RuleCounts(m, k)
            self.counts.add(votes)

    def summary(self, truth: np.ndarray | None = None) -> RuleTable:
        """Returns the table of all rules.

        Args:
            truth: (n,) ids of the true classes, -1 where none is known. Examples without one count for no
                accuracy, where Snorkel counts them as wrong. Counts hold what is known already.

        Raises:
            ValueError: If there is not one a row, or an id is not valid.
        """
        counts, judged = self._judged(truth)
        share = counts.rows or 1
        rows = []
        for rule, name in enumerate(self.names):
            voted = np.flatnonzero(counts.votes[rule]).tolist()
            row = (
                name,
                rule,
                [self.classes[one] for one in voted] if self.named else voted,
                int(counts.fired[rule]) / share,
                int(counts.overlaps[rule]) / share,
                int(counts.conflicts[rule]) / share,
            )
            if judged:
                right, wrong = int(counts.correct[rule]), int(counts.incorrect[rule])
                row += (right, wrong, right / (right + wrong) if right + wrong else math.nan)  # type: ignore[assignment]
            rows.append(row)
        return RuleTable((*COLUMNS, *(JUDGED if judged else ())), tuple(rows))

    def findings(self, truth: np.ndarray | None = None, *, left_out: Collection[str] = ()) -> list[str]:
        """Says in sentences which rules need a look; it changes no vote.

        Args:
            truth: as for `summary`.
            left_out: rules that have no votes for a reason that is known.

        Raises:
            ValueError: As `summary`.
        """
        counts, judged = self._judged(truth)
        found = []
        for rule in range(len(self.names)):
            sentences = (
                "" if self.names[rule] in left_out else self._silent(counts, rule),
                self._broad(counts, rule),
                self._copied(counts, rule),
                self._against_others(counts, rule),
                self._against_labels(counts, rule) if judged else "",
            )
            found += [f"rule {self.names[rule]!r} {sentence}" for sentence in sentences if sentence]
        return found

    def _judged(self, truth: np.ndarray | None) -> tuple[RuleCounts, bool]:
        if truth is None or self._matrix is None:
            if truth is not None:
                raise ValueError("truth must be None: counts know it already. Received: an array")
            return self.counts, bool(self.counts.labelled.any())
        counts = RuleCounts(len(self.names), len(self.classes))
        counts.add(self._matrix, truth)
        return counts, True

    def _silent(self, counts: RuleCounts, rule: int) -> str:
        return "" if counts.fired[rule] or not counts.rows else "never votes"

    def _broad(self, counts: RuleCounts, rule: int) -> str:
        most = int(counts.votes[rule].argmax())
        share = counts.votes[rule, most] / max(counts.rows, 1)
        if share <= BROAD:
            return ""
        return f"says {self.classes[most]!r} on {share:.0%} of all examples"

    def _copied(self, counts: RuleCounts, rule: int) -> str:
        """Says which earlier rule gives all the same votes."""
        fired = counts.fired
        same = (counts.agreed[rule, :rule] == fired[rule]) & (fired[:rule] == fired[rule])
        if fired[rule] < FEWEST_COPIED or not same.any():
            return ""
        return f"gives the same votes as rule {self.names[int(same.argmax())]!r}"

    def _against_others(self, counts: RuleCounts, rule: int) -> str:
        """Compares common votes with those of rules that vote independently of each other, equally often."""
        others = np.arange(len(self.names)) != rule
        together = int(counts.together[rule, others].sum())
        by_chance = counts.fired[rule] * counts.fired[others].sum()
        if together < FEWEST or not by_chance:
            return ""
        agreed = int(counts.agreed[rule, others].sum()) / together
        chance = float(counts.votes[rule] @ counts.votes[others].sum(axis=0) / by_chance)
        # On one example a rule meets several others, whose votes hang together: it counts once.
        if not _below(agreed, chance, int(counts.overlaps[rule])):
            return ""
        return (
            f"agrees with the others less than chance: in {agreed:.0%} of common votes, chance is "
            f"{chance:.0%}"
        )

    def _against_labels(self, counts: RuleCounts, rule: int) -> str:
        right, wrong = int(counts.correct[rule]), int(counts.incorrect[rule])
        if right + wrong < FEWEST:
            return ""
        votes = counts.judged[rule].sum(axis=1) / (right + wrong)
        chance = float(votes @ counts.labelled / counts.labelled.sum())
        accuracy = right / (right + wrong)
        if not _below(accuracy, chance, right + wrong):
            return ""
        return f"is worse than chance on the labels: {accuracy:.0%} are right, chance is {chance:.0%}"


def _below(share: float, chance: float, count: int) -> bool:
    """Returns whether a share of so many is surely below chance."""
    return count >= FEWEST and share < chance - SURE * math.sqrt(chance * (1 - chance) / count)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"
