"""Which plain quantities of two sets of examples differ, such as length or brightness, and by how much.

Each quantity is compared by the Mann-Whitney test (Mann and Whitney, On a test of whether one of two random
variables is stochastically larger than the other, 1947); the level is shared among the quantities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import mannwhitneyu

LEVEL = 0.01
LEAST = 0.1
"""How far the chance that an example of the pool has the larger value must be from one half."""


@dataclass(frozen=True)
class PlainDifference:
    """A quantity that differs.

    Attributes:
        name: of the quantity, with its unit.
        labelled: its median among the labelled examples.
        pool: its median in the pool.
        larger: how often an example of the pool has a larger value than a labelled one, in [0, 1].
    """

    name: str
    labelled: float
    pool: float
    larger: float

    def sentence(self) -> str:
        """Returns it in words.

        Examples:
            >>> PlainDifference("length in characters", 51.0, 1204.0, 0.98).sentence()
            'length in characters: 1,200 in the pool, 51 among the labelled examples'
        """
        told = f"{_rounded(self.pool)} in the pool, {_rounded(self.labelled)} among the labelled examples"
        return f"{self.name}: {told}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the attributes as plain values, ready for JSON."""
        return asdict(self)


def plain_differences(
    labelled: Mapping[str, np.ndarray], pool: Mapping[str, np.ndarray]
) -> list[PlainDifference]:
    """Returns the quantities that differ, the most different first.

    Args:
        labelled: name to (n,) values of the labelled examples.
        pool: the same names to (m,) values of the pool.

    Examples:
        >>> same, more = np.arange(40.0), np.arange(40.0) + 30
        >>> [one.name for one in plain_differences({"a": same, "b": same}, {"a": same, "b": more})]
        ['b']
    """
    found = []
    for name, values in labelled.items():
        others = pool[name]
        if not len(values) or not len(others):
            continue
        test = mannwhitneyu(others, values)
        larger = float(test.statistic) / (len(values) * len(others))
        if test.pvalue <= LEVEL / len(labelled) and abs(larger - 0.5) >= LEAST:
            found.append(PlainDifference(name, float(np.median(values)), float(np.median(others)), larger))
    return sorted(found, key=lambda one: (-abs(one.larger - 0.5), one.name))


def _rounded(value: float) -> str:
    """Returns two significant digits."""
    return f"{float(f'{value:.2g}'):,.10g}"
