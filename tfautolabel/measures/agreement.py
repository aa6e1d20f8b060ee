"""How far people agree who have labelled the same examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """How far people agree.

    Attributes:
        items: how many examples at least two people have labelled.
        percent: in [0, 1], the share of pairs of answers to one example that are the same.
        kappa: the agreement beyond chance, at most 1; 0 is what chance gives. NaN if everybody always
            gives the same class, so that chance alone gives full agreement.
        kind: "Cohen's kappa" for two people, else "Fleiss' kappa".
    """

    items: int
    percent: float
    kappa: float
    kind: str


def measure_agreement(answers: Sequence[Mapping[str, str]]) -> Agreement | None:
    """Measures the agreement about examples.

    Two people: Cohen, "A coefficient of agreement for nominal scales" (Educational and Psychological
    Measurement 20, 1960), which takes each person's own shares of the classes. More people: Fleiss,
    "Measuring nominal scale agreement among many raters" (Psychological Bulletin 76, 1971), where people
    share one distribution; examples may have different numbers of answers, and each then counts by its pairs.

    Args:
        answers: for each example, person to class; those with fewer than two people are left out.

    Returns:
        The agreement; None if no example has two answers.

    Examples:
        >>> both = [{"a": "x", "b": "x"}, {"a": "y", "b": "y"}, {"a": "x", "b": "y"}, {"a": "x", "b": "x"}]
        >>> measure_agreement(both)
        Agreement(items=4, percent=0.75, kappa=0.5, kind="Cohen's kappa")
    """
    shared = [given for given in answers if len(given) > 1]
    if not shared:
        return None
    people = sorted({person for given in shared for person in given})
    classes = sorted({name for given in shared for name in given.values()})
    if len(people) == 2:
        table = np.zeros((len(classes), len(classes)))
        for given in shared:
            table[classes.index(given[people[0]]), classes.index(given[people[1]])] += 1
        share = table / table.sum()
        observed, expected = float(np.trace(share)), float(share.sum(axis=1) @ share.sum(axis=0))
        return Agreement(len(shared), observed, _beyond(observed, expected), "Cohen's kappa")
    counts = np.array([[Counter(given.values())[name] for name in classes] for given in shared], float)
    raters = counts.sum(axis=1)
    observed = float((counts * (counts - 1)).sum() / (raters * (raters - 1)).sum())
    expected = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return Agreement(len(shared), observed, _beyond(observed, expected), "Fleiss' kappa")


def _beyond(observed: float, expected: float) -> float:
    return float("nan") if expected >= 1.0 else round((observed - expected) / (1.0 - expected), 12)
