"""Applies rules to a data set: part by part, in several threads; a rule that fails abstains there."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfautolabel._ahead import map_ahead
from tfautolabel._cores import granted_cores
from tfautolabel._progress import progress_of
from tfautolabel.data import Dataset, ReadFailure, Unreadable
from tfautolabel.data.label_values import class_key
from tfautolabel.data.names import check_unique, shorten
from tfautolabel.data.row_groups import read_in_groups
from tfautolabel.labels import ABSTAIN
from tfautolabel.rules.contract import OneClassVotes, Part, Rule, RuleFailure, RuleStopped, Vote
from tfautolabel.rules.known import KnownRow
from tfautolabel.rules.votes import SHOWN_FAILURES, Failure, Failures, Votes, vote_type

PART_ROWS = 1_000
"""Texts that are read at a time."""
PART_FILES = 32
"""Pictures or clips that are read at a time."""

Fields = Callable[[Dataset], Sequence[Mapping[str, Any]]]
"""From examples to what is known of each, by name."""


def apply_rules(
    rules: Sequence[Rule],
    pool: Dataset,
    classes: Sequence[str] | None = None,
    *,
    fields: Fields | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Applies rules to every example.

    A rule that fails on an example abstains there; a warning counts such failures and shows the first.

    Args:
        rules: m rules with distinct names, such as functions under `labeling_function` and what `read_rules`
            gives.
        pool: n examples.
        classes: k names. By default the classes of the pool's labels; without labels, all names that the
            rules use, sorted.
        fields: for rules that look at more than the input, such as a table's other columns: see `Fields`.
        progress: shows a progress bar where standard error is a terminal.

    Returns:
        (n, m) int64, -1 for no vote, else the id of a class: the matrix that Snorkel calls L.

    Raises:
        ValueError: If there are no rules, two have one name, or a rule is for classes that are not among
            `classes`.

    Examples:
        >>> from tfautolabel import ABSTAIN, Dataset, labeling_function
        >>> @labeling_function()
        ... def refund(text):
        ...     return "bad" if "refund" in text.lower() else ABSTAIN
        >>> pool = Dataset.from_inputs(["I want a REFUND", "lovely"], modality="text")
        >>> apply_rules([refund], pool, ["bad", "good"]).tolist()
        [[0], [-1]]
    """
    votes = cast_votes(rules, pool, classes, fields=fields, progress=progress)
    for sentence in votes.sentences():
        warnings.warn(sentence, UserWarning, stacklevel=2)
    return votes.matrix.astype(np.int64)


def cast_votes(
    rules: Sequence[Rule],
    pool: Dataset,
    classes: Sequence[str] | None = None,
    *,
    fields: Fields | None = None,
    progress: bool = True,
    threads: int | None = None,
) -> Votes:
    """Does the same as `apply_rules`, and says where rules failed.

    Args:
        rules: as for `apply_rules`.
        pool: as for `apply_rules`.
        classes: as for `apply_rules`.
        fields: as for `apply_rules`.
        progress: as for `apply_rules`.
        threads: how many parts are looked at together; the number of cores by default.

    Raises:
        ValueError: As `apply_rules`.
    """
    ids = _ClassIds(classes or pool.classes)
    matrices: list[np.ndarray] = []
    unreadable: list[Unreadable] = []
    failures = [Failures() for _ in rules]
    for part in _parts(rules, pool, ids, fields, progress, threads):
        matrices.append(part.matrix)
        unreadable += part.unreadable
        failures = [one.plus(more) for one, more in zip(failures, part.failures, strict=True)]
    matrix = np.concatenate(matrices) if matrices else np.zeros((0, len(rules)), np.int8)
    matrix = ids.in_order(matrix)
    for number, found in enumerate(failures):
        if found.stopped:
            matrix[:, number] = ABSTAIN
    names = tuple(rule.name for rule in rules)
    return Votes(matrix, pool.ids, ids.classes, names, tuple(failures), tuple(unreadable))


def vote_parts(
    rules: Sequence[Rule],
    pool: Dataset,
    classes: Sequence[str],
    *,
    fields: Fields | None = None,
    progress: bool = True,
    threads: int | None = None,
) -> Iterator[Votes]:
    """Yields the votes on consecutive parts of a pool, in order, so that a large one needs no matrix.

    A rule that stops itself has votes in the parts before.

    Args:
        rules: as for `apply_rules`.
        pool: as for `apply_rules`.
        classes: k names.
        fields: as for `apply_rules`.
        progress: as for `apply_rules`.
        threads: as for `cast_votes`.

    Raises:
        ValueError: As `apply_rules`.
    """
    yield from _parts(rules, pool, _ClassIds(classes), fields, progress, threads)


def _parts(
    rules: Sequence[Rule],
    pool: Dataset,
    ids: _ClassIds,
    fields: Fields | None,
    progress: bool,
    threads: int | None,
) -> Iterator[Votes]:
    _check_rules(rules, ids)
    threads = threads or granted_cores()
    look_up = fields or _without_columns
    size = PART_ROWS if pool.modality == "text" else PART_FILES
    stopped: dict[int, str] = {}

    def vote(item: tuple[Dataset, list[bytes | ReadFailure]]) -> Votes:
        examples, values = item
        return _vote(rules, examples, values, ids, look_up, stopped)

    def items() -> Iterator[tuple[Dataset, list[bytes | ReadFailure]]]:
        for rows, values in read_in_groups(pool, size):
            yield pool.subset(np.asarray(rows)), values

    with progress_of(len(pool), "applying rules", progress) as advance:
        for part in map_ahead(vote, items(), threads=threads, ahead=threads):
            advance(len(part))
            yield part


def _vote(
    rules: Sequence[Rule],
    examples: Dataset,
    values: Sequence[bytes | ReadFailure],
    ids: _ClassIds,
    look_up: Fields,
    stopped: dict[int, str],
) -> Votes:
    """Returns the votes on one part; `stopped` is shared by all parts."""
    readable = np.array([not isinstance(value, ReadFailure) for value in values], bool)
    unreadable = [
        Unreadable(str(name), str(value))
        for name, value in zip(examples.ids, values, strict=True)
        if isinstance(value, ReadFailure)
    ]
    inputs: list[Any] = [value for value in values if not isinstance(value, ReadFailure)]
    if examples.modality == "text":
        inputs = [value.decode("utf-8") for value in inputs]
    read = examples if readable.all() else examples.subset(readable)
    part = Part(read, inputs, look_up)
    matrix = np.full((len(examples), len(rules)), ABSTAIN, ids.kind)
    failures = []
    for number, rule in enumerate(rules):
        votes: Sequence[Vote | RuleFailure] = ()
        if number not in stopped:
            try:
                votes = rule.vote(part)
            except RuleStopped as reason:
                stopped[number] = str(reason)
        if number in stopped:
            failures.append(Failures(stopped=stopped[number]))
            continue
        column, failed = ids.of(votes, read.ids)
        matrix[readable, number] = column
        failures.append(failed)
    names = tuple(rule.name for rule in rules)
    return Votes(matrix, examples.ids, ids.classes, names, tuple(failures), tuple(unreadable))


class _ClassIds:
    """Turns votes into class ids; without given classes, each new name gets the next id.

    Args:
        classes: k names; empty if they are not known.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.given = bool(classes)
        self.names = list(classes)
        self._ids: dict[Any, int] = {None: ABSTAIN, **{name: at for at, name in enumerate(classes)}}
        self._keys = {class_key(name): number for number, name in enumerate(classes)}
        self.kind = vote_type(len(classes)) if classes else np.int32
        self._alone = threading.Lock()

    @property
    def classes(self) -> tuple[str, ...]:
        """All names that are known, sorted unless they were given."""
        return tuple(self.names) if self.given else tuple(sorted(self.names))

    def of(self, votes: Sequence[Vote | RuleFailure], names: np.ndarray) -> tuple[np.ndarray, Failures]:
        """Returns p class ids, and the votes that are none."""
        ids = self._ids
        if isinstance(votes, OneClassVotes) and isinstance(own := self._other(votes.label), int):
            return np.where(votes.cast, own, ABSTAIN).astype(self.kind), Failures()
        try:  # nearly all votes are names that were seen before, or None
            return np.array([ids[vote] for vote in votes], self.kind), Failures()
        except (KeyError, TypeError):  # a RuleFailure, a number, another spelling, or no vote at all
            pass
        column = np.empty(len(names), self.kind)
        failed = []
        for row, vote in enumerate(votes):
            found = self._other(vote)
            if isinstance(found, RuleFailure):
                failed.append(Failure(str(names[row]), found.reason))
                found = ABSTAIN
            column[row] = found
        return column, Failures(len(failed), tuple(failed[:SHOWN_FAILURES]))

    def _other(self, vote: Vote | RuleFailure) -> int | RuleFailure:
        if vote is None or isinstance(vote, RuleFailure):
            return ABSTAIN if vote is None else vote
        if isinstance(vote, str):
            return self._ids[vote] if vote in self._ids else self._named(vote)
        if isinstance(vote, (int, np.integer)) and not isinstance(vote, bool):
            if vote == ABSTAIN or 0 <= vote < len(self.names):
                return int(vote)
            return RuleFailure(f"a class id must lie in [-1, {len(self.names) - 1}]; it gave {int(vote)}")
        return RuleFailure(f"a rule gives the name of a class or ABSTAIN; it gave {vote!r}")

    def _named(self, name: str) -> int | RuleFailure:
        key = class_key(name)
        if not key:
            return ABSTAIN
        with self._alone:
            if key not in self._keys:
                if self.given:
                    return RuleFailure(f"the classes are {shorten(self.names)}; it gave {name!r}")
                self._keys[key] = len(self.names)
                self.names.append(name)
            self._ids[name] = self._keys[key]
            return self._ids[name]

    def in_order(self, matrix: np.ndarray) -> np.ndarray:
        """Returns the same votes as ids into `classes`."""
        if self.given:
            return matrix
        place = {name: number for number, name in enumerate(self.classes)}
        ids = np.array([*(place[name] for name in self.names), ABSTAIN], vote_type(len(place)))
        return np.asarray(ids[matrix])


def _check_rules(rules: Sequence[Rule], ids: _ClassIds) -> None:
    if not rules:
        raise ValueError("at least one rule is needed. Received: none")
    for rule in rules:
        if not hasattr(rule, "vote"):
            raise ValueError(
                "a rule is a function under @labeling_function(), or comes from read_rules. "
                f"Received: {rule!r}"
            )
    check_unique("names of rules", [rule.name for rule in rules])
    for rule in rules:
        for name in rule.classes:
            if isinstance(found := ids._named(name), RuleFailure):
                raise ValueError(f"rule {rule.name!r} is for a class that is not there: {found.reason}")


def new_classes(rules: Iterable[Rule], known: Iterable[str]) -> dict[str, str]:
    """Returns the classes of rules that are none of the known ones, each with the first rule for it.

    Args:
        rules: any rules.
        known: names of classes; other spellings of them are no new classes.
    """
    keys, found = {class_key(name) for name in known}, {}
    for rule in rules:
        for name in rule.classes:
            if class_key(name) not in keys:
                keys.add(class_key(name))
                found[name] = rule.name
    return found


def _without_columns(examples: Dataset) -> list[KnownRow]:
    return [KnownRow(examples, row, {}) for row in range(len(examples))]
