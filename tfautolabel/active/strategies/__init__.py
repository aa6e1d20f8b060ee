"""Query strategies, one a file, each with its paper."""

from __future__ import annotations

from tfautolabel.active.contract import Strategy
from tfautolabel.active.strategies.badge import badge
from tfautolabel.active.strategies.herding import herding
from tfautolabel.active.strategies.margin import margin
from tfautolabel.active.strategies.margin_diverse import margin_diverse
from tfautolabel.active.strategies.random import random
from tfautolabel.active.strategies.sequential import sequential
from tfautolabel.active.strategies.typiclust import typiclust
from tfautolabel.active.strategies.uncertainty_herding import uncertainty_herding
from tfautolabel.active.strategies.variance import variance

DEFAULT_STRATEGY = "uncertainty-herding"
RANDOM = "random"
SEQUENTIAL = "sequential"

QUERY_STRATEGIES: dict[str, Strategy] = {
    DEFAULT_STRATEGY: uncertainty_herding,
    "margin": margin,
    "margin-diverse": margin_diverse,
    "herding": herding,
    "typiclust": typiclust,
    "badge": badge,
    "variance": variance,
    RANDOM: random,
    SEQUENTIAL: sequential,
}
"""Name to a function that chooses which examples to ask about; see `tfautolabel.active.contract.Strategy`."""


def share_of(strategy: str | Strategy, share: float) -> float:
    """Returns the share of questions that are drawn at random with a strategy.

    Args:
        strategy: a key of `QUERY_STRATEGIES`, or a function.
        share: in [0, 1], the share that was asked for.

    Returns:
        1 with "random", 0 with "sequential", which would no longer be the order of the data, else the share.
    """
    return {RANDOM: 1.0, SEQUENTIAL: 0.0}.get(strategy, share) if isinstance(strategy, str) else share


def strategy_of(name: str | Strategy) -> Strategy:
    """Returns the strategy of a name; a function is returned as it is.

    Raises:
        ValueError: If the name is unknown.
    """
    if not isinstance(name, str):
        return name
    if name not in QUERY_STRATEGIES:
        raise ValueError(f"a strategy is one of {', '.join(QUERY_STRATEGIES)}. Received: strategy={name!r}")
    return QUERY_STRATEGIES[name]
