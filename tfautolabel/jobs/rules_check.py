"""Checks rules on data: a table of what they do, and in sentences which of them need a look."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import unix_csv
from tfautolabel.labels import ABSTAIN
from tfautolabel.rules.analysis import RuleAnalysis, RuleTable
from tfautolabel.rules.apply import new_classes, vote_parts
from tfautolabel.rules.code_files import rules_of
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.counts import RuleCounts
from tfautolabel.rules.fields import Fields
from tfautolabel.rules.label_leaks import label_leaks
from tfautolabel.rules.votes import Failures
from tfautolabel.runs.inputs import Place, Source, fields_of, load_by
from tfautolabel.runs.settings import RunSettings


@dataclass(frozen=True)
class RulesCheck:
    """What rules do on data.

    Attributes:
        table: a row for each rule.
        findings: sentences about rules that need a look.
        examples: how many examples there are.
        covered: how many of them have a vote.
        labelled: how many of them have a label.
        unreadable: how many could not be read; they have no votes.
    """

    table: RuleTable
    findings: tuple[str, ...]
    examples: int
    covered: int
    labelled: int
    unreadable: int


def check_rules(
    rules: Place | Sequence[Rule],
    data: object,
    *,
    labels: Place | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    out: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RulesCheck:
    """Applies rules to data and tells what they do; memory does not grow with the data beyond names.

    Args:
        rules: a file of rules (see `read_rules`), a file of Python code that ends in .py, which is run, or
            rules.
        data: a folder, a table or a frame; labels in it are used to judge the rules.
        labels: a table of labels, as for `run`.
        settings: as for `run`; used are the columns, the modality and how labels and texts are read.
        out: a CSV file for the table; None for none.
        progress: shows a progress bar where standard error is a terminal.
        say: is called with each thing that was guessed.

    Raises:
        ValueError: If rules or data cannot be used, or the table would replace one of them.
        FileNotFoundError: If a file or folder does not exist.
        OSError: If the table cannot be written.
    """
    settings.check()
    source = Source(data, labels, None, settings)
    if isinstance(rules, (str, os.PathLike)):
        _check_out(out, [rules, data, labels])
        rules = rules_of(rules, say)
    else:
        _check_out(out, [data, labels])
    examples = load_by(settings, data, labels or "auto", [] if out is None else [Path(out)])
    for note in examples.notes:
        say(note)
    fields = fields_of(source, rules, examples.modality)
    found = _checked(rules, examples, fields, progress)
    if out is not None:
        with atomic_write(out) as file:
            unix_csv(file).writerows(_plain(found.table))
    return found


def _checked(rules: Sequence[Rule], examples: Dataset, fields: Fields, progress: bool) -> RulesCheck:
    classes, unknown = _classes(rules, examples.classes)
    counts, covered, unreadable, failures = _counted(rules, examples, classes, fields, progress)
    analysis = RuleAnalysis(counts, classes, [rule.name for rule in rules])
    said = [one.sentence(rule.name) for rule, one in zip(rules, failures, strict=True)]
    leaks = label_leaks(rules, examples.labelled, fields)
    stopped = {rule.name for rule, one in zip(rules, failures, strict=True) if one.stopped}
    others = analysis.findings(left_out=stopped)
    return RulesCheck(
        analysis.summary(),
        (*unknown, *filter(None, said), *leaks, *others),
        len(examples),
        covered,
        int(counts.labelled.sum()),
        unreadable + len(examples.unreadable),
    )


def _classes(rules: Sequence[Rule], labelled: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the classes of labels and rules, and what is said of those that only rules have."""
    new = new_classes(rules, labelled)
    said = [
        f"rule {rule!r} is for class {name!r}, which none of the labels has" for name, rule in new.items()
    ]
    return [*labelled, *new], said if labelled else []


def _counted(
    rules: Sequence[Rule], examples: Dataset, classes: Sequence[str], fields: Fields, progress: bool
) -> tuple[RuleCounts, int, int, list[Failures]]:
    """Counts all votes; those of a rule that stopped on the way are taken out by counting again."""
    stopped: set[int] = set()
    while True:
        counts = RuleCounts(len(rules), len(classes))
        failures, covered, unreadable, place = [Failures() for _ in rules], 0, 0, 0
        for part in vote_parts(rules, examples, classes, fields=fields, progress=progress):
            matrix = part.matrix.copy()
            matrix[:, sorted(stopped)] = ABSTAIN
            counts.add(matrix, examples.class_ids[place : place + len(part)])
            place += len(part)
            covered += int(np.count_nonzero((matrix != ABSTAIN).any(axis=1)))
            unreadable += len(part.unreadable)
            failures = [one.plus(more) for one, more in zip(failures, part.failures, strict=True)]
        now = {number for number, one in enumerate(failures) if one.stopped}
        if now <= stopped:
            return counts, covered, unreadable, failures
        stopped |= now


def _check_out(out: Place | None, inputs: Sequence[Any]) -> None:
    for one in inputs:
        if out is None or not isinstance(one, (str, os.PathLike)):
            continue
        if os.path.realpath(out) == os.path.realpath(one):
            raise ValueError(f"out must be another file than the inputs. Received: {os.fspath(out)!r}")
    if out is not None and os.path.isdir(out):
        raise ValueError(f"out must be a CSV file. Received: the folder {os.fspath(out)!r}")


def _plain(table: RuleTable) -> list[list[Any]]:
    """Returns the rows of a CSV file, with all digits; what is not known is empty."""
    rows = [[_plain_cell(cell) for cell in row] for row in table.rows]
    return [list(table.columns), *rows]


def _plain_cell(cell: Any) -> Any:
    if isinstance(cell, list):
        return "|".join(map(str, cell))
    return "" if cell != cell else cell
