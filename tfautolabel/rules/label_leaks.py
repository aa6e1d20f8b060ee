"""Finds rules that read the label itself: from a path, or from a column that holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.label_values import class_key
from tfautolabel.rules.analysis import FEWEST
from tfautolabel.rules.contract import Rule
from tfautolabel.rules.known import FOLDER, ID, NAME
from tfautolabel.rules.words import Terms, folded, name_words

LOOKED_AT = 2_000
MOST = 0.9
"""Where the label is in a larger share of what a rule looks at, it is read from there."""


def label_leaks(
    rules: Sequence[Rule], labelled: Dataset, look_up: Callable[[Dataset], Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Says which rules read the label: they look good here, and find nothing where there is no label yet.

    Args:
        rules: of any kind; those that say what they look at are judged.
        labelled: labelled examples; some of them are looked at.
        look_up: what is known of examples, such as `Fields`.
    """
    if len(labelled) < FEWEST:
        return []
    rows = np.unique(np.linspace(0, len(labelled) - 1, LOOKED_AT, dtype=int))
    some = labelled.subset(rows)
    names = [labelled.classes[class_id] for class_id in some.class_ids.tolist()]
    shares: dict[str, float] = {}
    said = []
    for rule in rules:
        field = str(getattr(rule, "field", ""))
        known = look_up(some) if field and field not in shares else []
        if not field or (field not in shares and (not known or field not in known[0])):
            continue
        if field not in shares:
            shares[field] = _share(field, [row[field] for row in known], names)
        if shares[field] > MOST:
            where = "the path" if field in (ID, NAME, FOLDER) else f"column {field!r}"
            said.append(
                f"rule {rule.name!r} reads the label from {where}: on {shares[field]:.0%} of labelled "
                f"examples, its {field!r} holds the class"
            )
    return said


def _share(field: str, values: Sequence[Any], names: Sequence[str]) -> float:
    """Returns on which share of examples a value holds the class; 0 if there is only one class."""
    if len(set(names)) < 2:
        return 0.0
    if field in (ID, NAME, FOLDER):
        terms = {name: Terms([name_words(name)]) for name in set(names)}
        held = [
            terms[name].stands_in(folded(name_words(str(value))))
            for value, name in zip(values, names, strict=True)
        ]
    else:
        held = [
            value is not None and class_key(str(value)) == class_key(name)
            for value, name in zip(values, names, strict=True)
        ]
    return sum(held) / len(held)
