"""Active learning: which examples to ask a person about next, so that few answers teach much."""

from __future__ import annotations

from tfautolabel.active.batches import Batch, batch_size_of, next_batch
from tfautolabel.active.contract import Chosen, PoolState, Strategy
from tfautolabel.active.geometry import PoolGeometry
from tfautolabel.active.oracle import Oracle
from tfautolabel.active.random_sample import (
    RANDOM_SHARE,
    RandomSample,
    draws_after,
    random_order,
    random_sample,
)
from tfautolabel.active.simulation import Simulation, simulate
from tfautolabel.active.strategies import DEFAULT_STRATEGY, QUERY_STRATEGIES

__all__ = [
    "DEFAULT_STRATEGY",
    "QUERY_STRATEGIES",
    "RANDOM_SHARE",
    "Batch",
    "Chosen",
    "Oracle",
    "PoolGeometry",
    "PoolState",
    "RandomSample",
    "Simulation",
    "Strategy",
    "batch_size_of",
    "draws_after",
    "next_batch",
    "random_order",
    "random_sample",
    "simulate",
]
