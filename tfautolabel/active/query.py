"""Which examples of a data set to ask a person about next."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tfautolabel.active.batches import next_batch
from tfautolabel.active.contract import PoolState
from tfautolabel.active.geometry import PoolGeometry
from tfautolabel.active.random_sample import RANDOM_SHARE, random_order
from tfautolabel.active.strategies import DEFAULT_STRATEGY, strategy_of
from tfautolabel.labels import ABSTAIN

if TYPE_CHECKING:
    from tfautolabel.backbones import Backbone
    from tfautolabel.data import Dataset
    from tfautolabel.labeler import Labeler


@dataclass(frozen=True, eq=False)
class Query:
    """Examples to ask a person about.

    Attributes:
        ids: (m,) str, in the order to ask.
        rows: (m,) int64, their rows in the pool.
        reasons: m sentences to show with them; they do not tell which ones are random.
        is_random: (m,) bool, which ones were drawn at random. Who answers must not see it.
        drawn: (r,) int64, rows of the pool that are a uniform random sample of it once this query is
            answered: the random ones, and drawn ones that had a label before. Only these say how good the
            labels of the others are.
    """

    ids: np.ndarray
    rows: np.ndarray
    reasons: tuple[str, ...]
    is_random: np.ndarray
    drawn: np.ndarray


def query(
    labeler: Labeler | Backbone | str | os.PathLike[str],
    pool: Dataset,
    n: int,
    *,
    strategy: str = DEFAULT_STRATEGY,
    labelled: Dataset | None = None,
    random_share: float = RANDOM_SHARE,
    seed: int = 0,
) -> Query:
    """Chooses the examples of a pool whose labels teach most, and some at random.

    Examples of the pool that have a label, that the labeler has learnt from, or that cannot be read are not
    asked.

    Args:
        labeler: a `Labeler`; before it is fitted, or with only a backbone, the examples are chosen that stand
            for most others, which needs no labels.
        pool: examples, some of which may have labels.
        n: how many to ask, at least 1.
        strategy: a key of `QUERY_STRATEGIES`.
        labelled: the labelled examples, if they are not in the pool, so that nothing like them is asked.
        random_share: in [0, 1], the share of all labels in the pool that is a random sample of it. The others
            are no random sample: fit with `sampling="chosen"`, and measure on random ones only.
        seed: decides which examples are random; the same for all queries of a pool.

    Returns:
        min(n, the examples that may be asked) examples.

    Raises:
        ValueError: If an argument is out of range, or every example that can be read has a label.
    """
    from tfautolabel.labeler import Labeler

    strategy_of(strategy)
    if not isinstance(labeler, Labeler):
        # Only its features are used, so the names of classes do not matter.
        labeler = Labeler(labeler, ("a", "b"))
    extraction = labeler.extract(pool)
    fitted = labeler.fitted_
    probabilities = None if fitted is None else fitted.probabilities(pool, extraction)[1]
    known = pool.class_ids != ABSTAIN
    if fitted is not None:
        known = known | fitted.learnt.among(pool, extraction.contents)
    features = extraction.features
    places = np.flatnonzero(known[extraction.rows])
    if known[extraction.rows].all():
        raise ValueError(
            f"there must be an example to ask about. Received: {len(pool):,} examples, all with a label or "
            "unreadable"
        )
    if labelled is not None:
        others = labeler.extract(labelled.labelled)
        places = np.concatenate([places, len(features) + np.arange(len(others.features))])
        features = np.concatenate([features, others.features])
        if fitted is not None and probabilities is not None:
            of_others = fitted.probabilities(labelled.labelled, others)[1]
            probabilities = np.concatenate([probabilities, of_others])
    state = PoolState(
        features, places, probabilities, len(labeler.classes), geometry=PoolGeometry(features, seed)
    )
    order = random_order(len(extraction.rows), seed)
    batch = next_batch(state, n, strategy=strategy, random_share=random_share, order=order, seed=seed)
    rows = extraction.rows[batch.rows]
    drawn = extraction.rows[order[: batch.drawn]]
    return Query(pool.ids[rows], rows, batch.reasons, batch.is_random, drawn)
