"""The next questions of a session: most of them chosen by a strategy, some drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tfautolabel.active.contract import PoolState, Strategy
from tfautolabel.active.doubt import doubts
from tfautolabel.active.random_sample import RANDOM_SHARE, draws_after, random_order
from tfautolabel.active.strategies import DEFAULT_STRATEGY, share_of, strategy_of
from tfautolabel.active.strategies.random import REASON as DRAWN

BATCH_SIZE = 10
"""The questions between two fits of the head; large batches gain about half as much."""
UNSURE, LEANING = 0.6, 0.3
"""From these doubts on, a question's reason says so."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Questions for a person.

    Attributes:
        rows: (m,) int64, in the order to ask.
        reasons: m sentences to show with the questions. Each is true of its example, says nothing about the
            classes, and does not tell whether the example was chosen or drawn.
        is_random: (m,) bool, which rows were drawn at random. Who answers must not see it.
        chosen_for: m sentences that say why each row was chosen or drawn, for the record. They tell which
            rows were drawn.
        drawn: the length of the session's random sample after this batch, see `random_sample`.
    """

    rows: np.ndarray
    reasons: tuple[str, ...]
    is_random: np.ndarray
    chosen_for: tuple[str, ...]
    drawn: int


def batch_size_of(n_classes: int) -> int:
    """Returns the usual size of a batch: `BATCH_SIZE`, or the number of classes if that is more."""
    return max(BATCH_SIZE, n_classes)


def next_batch(
    state: PoolState,
    n: int,
    *,
    strategy: str | Strategy = DEFAULT_STRATEGY,
    random_share: float = RANDOM_SHARE,
    asked: int | None = None,
    order: np.ndarray | None = None,
    judging: np.ndarray | None = None,
    seed: int = 0,
) -> Batch:
    """Chooses the next questions; see `tfautolabel.active.random_sample` for the random ones.

    Args:
        state: what is known of the pool.
        n: how many questions, at least 1.
        strategy: a key of `QUERY_STRATEGIES`, or a function that keeps the contract. With "random", each
            question is drawn; with "sequential", none.
        random_share: in [0, 1], the share of all questions of a session that are drawn at random.
        asked: how many questions the session has asked before, answered or not. By default, as many as there
            are labelled and closed rows; if most labels were there before the session, the first batches then
            draw at random until the random sample is as long as the share says.
        order: (o,) int64, the session's `random_order`, if it is known or leaves out some rows; by default of
            all rows.
        judging: (j,) int64, rows that were asked because they were drawn; by default all that were drawn. The
            strategy does not know that they have a label: it asks near them as near any other row. Otherwise
            a head that has not seen them would know them worse than any other, and its accuracy would look
            too low.
        seed: the session's; the same for all of its batches.

    Returns:
        min(n, open rows) questions. The strategy's keep its order, and the drawn ones stand anywhere.

    Raises:
        ValueError: If an argument is out of range or the strategy is unknown.
    """
    if n < 1:
        raise ValueError(f"a batch has one question at least. Received: n={n}")
    choose = strategy_of(strategy)
    free = state.open
    n = min(n, len(free))
    known = np.union1d(state.labelled, state.closed)
    order = random_order(len(state.features), seed) if order is None else order
    before = int(np.isin(known, order).sum()) if asked is None else asked
    drawn = min(draws_after(before + n, share_of(strategy, random_share)), len(order))
    random_rows = order[:drawn]
    random_rows = random_rows[np.isin(random_rows, free)][:n]
    hidden = order[:drawn] if judging is None else np.union1d(judging, random_rows)
    rest = replace(
        state,
        labelled=np.setdiff1d(state.labelled, hidden),
        closed=np.union1d(state.closed, np.union1d(random_rows, np.intersect1d(state.labelled, hidden))),
    )
    # Another seed for each batch, or equal examples would always have the same order.
    chosen = choose(rest, n - len(random_rows), seed=seed + len(known))
    rng = np.random.default_rng([seed, len(known)])
    is_random = np.zeros(n, bool)
    is_random[rng.choice(n, len(random_rows), replace=False)] = True
    rows = np.empty(n, np.int64)
    rows[is_random], rows[~is_random] = rng.permutation(random_rows), chosen.rows
    why = iter(chosen.reasons)
    chosen_for = tuple(DRAWN if drawn_one else next(why) for drawn_one in is_random)
    return Batch(rows, _reasons(state, rows), is_random, chosen_for, drawn)


def _reasons(state: PoolState, rows: np.ndarray) -> tuple[str, ...]:
    if state.probabilities is None:
        return ("The model knows nothing about it yet.",) * len(rows)
    return tuple(
        "The model is unsure about it."
        if doubt >= UNSURE
        else "The model leans to one class."
        if doubt >= LEANING
        else "The model is nearly sure about it, and this checks that."
        for doubt in doubts(state, rows).tolist()
    )
