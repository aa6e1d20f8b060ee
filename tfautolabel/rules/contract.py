"""The contract for every rule: from some examples to one vote for each, or none."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, overload

import numpy as np

from tfautolabel.data import Dataset

Vote = str | int | None
"""What a rule says of one example: the name of a class or its id; None, "" or `ABSTAIN` for nothing."""


@dataclass(frozen=True)
class RuleFailure:
    """A rule could not say anything of one example.

    Attributes:
        reason: for people to read.
    """

    reason: str


@dataclass(frozen=True, eq=False)
class Part:
    """Some examples that rules look at together; all of them could be read.

    Attributes:
        examples: p examples, for rules that need a model.
        inputs: p texts, or p encoded pictures or clips.
        look_up: makes `rows`; called at most once, when a rule needs it.
        prepared: what preprocessors made of the inputs or rows, so that rules share the work.
    """

    examples: Dataset
    inputs: Sequence[Any]
    look_up: Callable[[Dataset], Sequence[Mapping[str, Any]]]
    prepared: dict[Hashable, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """What is known of each example, by name: p mappings; see `tfautolabel.rules.fields`."""
        return self.look_up(self.examples)


class OneClassVotes(Sequence["Vote"]):
    """The votes of a rule for one class on p examples, as an array: nothing is made for each example.

    Args:
        label: the class.
        cast: (p,) bool, where the rule votes.
    """

    def __init__(self, label: str, cast: np.ndarray) -> None:
        self.label = label
        self.cast = cast

    def __len__(self) -> int:
        return len(self.cast)

    @overload
    def __getitem__(self, row: int) -> Vote: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Vote]: ...

    def __getitem__(self, row: int | slice) -> Vote | Sequence[Vote]:
        if isinstance(row, slice):
            return OneClassVotes(self.label, self.cast[row])
        return self.label if self.cast[row] else None


class RuleStopped(Exception):  # noqa: N818 - a rule ends itself; nothing else is wrong
    """A rule gives up, such as a pattern that takes too long: all its votes are dropped, and this is said.

    The message is the reason.
    """


class Rule(Protocol):
    """A weak label source: it votes for a class where it can, and abstains elsewhere.

    Several threads call `vote` at the same time, each with another part.

    Attributes:
        name: unique among the rules that are applied together.
        classes: the names of the classes that it can vote for; empty if that is not known beforehand.
    """

    name: str
    classes: tuple[str, ...]

    def vote(self, part: Part) -> Sequence[Vote | RuleFailure]:
        """Returns one vote, or a failure, for each example of the part.

        Raises:
            RuleStopped: If the rule gives up, for all examples.
        """
