"""Rules on texts as a part of a graph: their votes, equal to those that Python gives."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.data.row_groups import read_in_groups
from tfautolabel.labels import ABSTAIN
from tfautolabel.rules import FileRule, cast_votes, read_rules
from tfautolabel.rules.awkward_texts import awkward_texts, terms_looked_for
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.kinds import PatternTest
from tfautolabel.rules.re2 import Re2Rule, rule_in_re2
from tfautolabel.rules.re2_characters import MARKER, UNMARKED, char_class, matched_by
from tfautolabel.rules.re2_terms import NotInRe2

COMPARED = 2_000
"""Votes are compared on so many texts at hand, drawn at random, and on awkward ones."""
_SHOWN = 40
_READ = 1_000
_RECORDED = 16


@dataclass(frozen=True, eq=False)
class RuleGraph:
    """Rules that a graph holds.

    Attributes:
        rules: m rules, in the order of their votes.
        class_ids: the class of each.
        left_out: name of each other rule to the reason why it is not in the graph.
        compared: on how many texts the votes of graph and Python were equal.
        awkward: on how many texts made for it each rule's votes were equal too, all rules together.
        examples: a few texts on which they vote, encoded, for later checks of the graph.
    """

    rules: tuple[Re2Rule, ...]
    class_ids: tuple[int, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    compared: int = 0
    awkward: int = 0
    examples: tuple[bytes, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the m rules."""
        return tuple(rule.name for rule in self.rules)

    def without(self, reasons: Mapping[str, str]) -> RuleGraph | None:
        """Returns the same without some rules; None if none is left.

        Args:
            reasons: the names of rules to why they are left out; others than this graph's do not matter.
        """
        kept = [number for number, name in enumerate(self.names) if name not in reasons]
        if not kept:
            return None
        return replace(
            self,
            rules=tuple(self.rules[number] for number in kept),
            class_ids=tuple(self.class_ids[number] for number in kept),
            left_out=self.left_out | {name: reasons[name] for name in self.names if name in reasons},
        )

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the votes, (n, m) int64, -1 for none, of n encoded texts."""
        texts = tf.strings.regex_replace(texts, r"\A\x{feff}", "", replace_global=False)
        texts = tf.strings.regex_replace(texts, char_class(MARKER), UNMARKED)
        marked = texts
        if any(rule.marked for rule in self.rules):
            word = char_class(matched_by(r"\w", 0))
            marked = tf.strings.regex_replace(texts, f"({word}+)", rf"{MARKER}\1{MARKER}")
        found = [_found(rule, marked if rule.marked else texts) for rule in self.rules]
        ids = tf.constant(self.class_ids, tf.int64)
        return tf.where(tf.stack(found, axis=1), ids, ABSTAIN)

    def votes(self, examples: Dataset) -> np.ndarray:
        """Returns the votes on texts, (n, m) int64; -1 also where a text cannot be read.

        Args:
            examples: n texts.

        Raises:
            ValueError: If they are no texts.
        """
        _check_are_texts(examples)
        found = np.full((len(examples), len(self.rules)), ABSTAIN, np.int64)
        for rows, values in read_in_groups(examples, _READ):
            kept = [number for number, one in enumerate(values) if not isinstance(one, ReadFailure)]
            texts = tf.constant([values[number] for number in kept], tf.string)
            found[np.asarray(rows)[kept]] = self(texts).numpy()
        return found

    def check_classes(self, classes: Sequence[str]) -> None:
        """Refuses other classes, or another order, than those that the votes are ids of.

        Args:
            classes: k names.

        Raises:
            ValueError: If they differ.
        """
        for rule, number in zip(self.rules, self.class_ids, strict=True):
            if not number < len(classes) or classes[number] != rule.label:
                raise ValueError(
                    "rule_graph(rules, classes, …) takes the labeler's classes, in its order: "
                    f"{list(classes)}. Received: a graph in which {rule.label!r} has the number {number}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Returns all of it, ready for JSON."""
        return {
            "rules": [[*rule] for rule in self.rules],
            "class_ids": list(self.class_ids),
            "left_out": self.left_out,
            "compared": self.compared,
            "awkward": self.awkward,
            "examples": [base64.b64encode(one).decode("ascii") for one in self.examples],
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> RuleGraph:
        """Returns what `to_dict` described."""
        rules = (Re2Rule(name, label, tuple(some), marked) for name, label, some, marked in state["rules"])
        examples = tuple(base64.b64decode(one) for one in state["examples"])
        numbers = state["compared"], state["awkward"]
        return cls(tuple(rules), tuple(state["class_ids"]), state["left_out"], *numbers, examples)

    def describe(self) -> dict[str, Any]:
        """Returns what there is to know, ready for JSON."""
        return {
            "in_model": [{"rule": rule.name, "label": rule.label} for rule in self.rules],
            "left_out": self.left_out,
            "compared": self.compared,
            "awkward": self.awkward,
        }

    def sentences(self) -> list[str]:
        """Says how many rules are in the graph, and why others are not."""
        total = len(self.rules) + len(self.left_out)
        return [
            f"{len(self.rules):,} of {total:,} rules are in the model; their votes equal those of Python on "
            f"{self.compared:,} texts of these, and on {self.awkward:,} awkward ones made for them",
            *(f"rule {name!r} is not in the model: {reason}" for name, reason in self.left_out.items()),
        ]


def rule_graph(
    rules: str | os.PathLike[str] | Sequence[Rule],
    classes: Sequence[str],
    examples: Iterable[Dataset],
    seed: int = 0,
) -> RuleGraph:
    """Makes a graph of those rules whose votes it gives as Python does.

    Args:
        rules: a file of rules, or rules.
        classes: k names.
        examples: data sets of texts on which votes are compared; a part of them is drawn.
        seed: decides which.

    Raises:
        ValueError: If an example is no text, or no rule can be in a graph; the message has the reasons.
        FileNotFoundError: If the file of rules does not exist.
    """
    if isinstance(rules, (str, os.PathLike)):
        rules = read_rules(rules)
    texts = _texts(examples, seed)
    left_out: dict[str, str] = {}
    written: dict[str, Re2Rule] = {}
    for rule in rules:
        try:
            written[rule.name] = rule_in_re2(rule)
        except NotInRe2 as reason:
            left_out[rule.name] = str(reason)
    kept = [_of_its_own(rule) for rule in rules if isinstance(rule, FileRule) and rule.name in written]
    left_out |= _different(kept, written, classes, texts)
    awkward = 0
    for rule in kept:
        own = list(dict.fromkeys(awkward_texts(rule, texts)))
        if rule.name not in left_out:
            left_out |= _different([rule], written, classes, own)
            awkward += len(own) * (rule.name not in left_out)
    same = [rule for rule in kept if rule.name not in left_out]
    if not same:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"at least one rule must be one that a model can hold. Received: {reasons}")
    recorded = dict.fromkeys(term.encode() for rule in same for term in terms_looked_for(rule)[:1])
    in_order = {rule.name: left_out[rule.name] for rule in rules if rule.name in left_out}
    names = list(classes)
    return RuleGraph(
        tuple(written[rule.name] for rule in same),
        tuple(names.index(rule.line.label) for rule in same),
        in_order,
        len(texts),
        awkward,
        tuple(recorded)[:_RECORDED],
    )


def _of_its_own(rule: FileRule) -> FileRule:
    """Returns an equal rule: searches that take too long here must not count where the given one is used."""
    return FileRule(rule.line) if isinstance(rule.test, PatternTest) else rule


def _texts(examples: Iterable[Dataset], seed: int) -> list[str]:
    """Draws texts that can be read."""
    rng, texts = np.random.default_rng(seed), []
    for dataset in examples:
        _check_are_texts(dataset)
        most = min(COMPARED, len(dataset))
        drawn = dataset.subset(np.sort(rng.choice(len(dataset), most, replace=False)))
        for _, values in read_in_groups(drawn, COMPARED):
            texts += [value.decode("utf-8") for value in values if not isinstance(value, ReadFailure)]
    return texts


def _check_are_texts(dataset: Dataset) -> None:
    if dataset.modality != "text":
        raise ValueError(f"rules go into models of texts only. Received: {dataset.modality} data")


def _different(
    rules: Sequence[FileRule], written: dict[str, Re2Rule], classes: Sequence[str], texts: Sequence[str]
) -> dict[str, str]:
    """Returns rules whose votes a graph does not give, and why."""
    if not rules or not texts:
        return {}
    votes = cast_votes(rules, Dataset.from_inputs(texts, modality="text"), classes, progress=False)
    encoded = tf.constant([text.encode() for text in texts], tf.string)
    reasons = {}
    for number, rule in enumerate(rules):
        failures = votes.failures[number]
        if failures.stopped or failures.count:
            reasons[rule.name] = failures.stopped or failures.first[0].reason
            continue
        own = list(classes).index(rule.line.label)
        try:
            found = RuleGraph((written[rule.name],), (own,))(encoded).numpy()[:, 0]
        except tf.errors.InvalidArgumentError:
            reasons[rule.name] = "the engine of TensorFlow does not take its expression"
            continue
        rows = np.flatnonzero(found != votes.matrix[:, number])
        if len(rows):
            reasons[rule.name] = (
                f"in a model it votes otherwise on {len(rows):,} of {len(texts):,} texts, first on "
                f"{texts[rows[0]][:_SHOWN]!r}"
            )
    return reasons


def _found(rule: Re2Rule, texts: tf.Tensor) -> tf.Tensor:
    """Returns whether one of the rule's expressions is found in each text: (n,) bool."""
    found = [tf.strings.regex_full_match(texts, f"(?s:.*)(?:{one})(?s:.*)") for one in rule.patterns]
    return tf.reduce_any(tf.stack(found), axis=0) if len(found) > 1 else found[0]
