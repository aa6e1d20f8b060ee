"""The random part of what a person is asked: a simple random sample of the whole pool, for honest figures.

Examples that a strategy chose say nothing about the accuracy on the others: they are the hard ones. Therefore
every session has one order of the whole pool, a permutation by its seed. A part of each batch draws from it.
After q questions, the first `draws_after(q, share)` rows of the order are the random sample. A drawn row that
has no label yet is asked; one that the strategy has asked before is in the sample without a second question.

The length of the sample depends on the number of questions only, and never on which rows were asked or on
what was answered. So at every length it is a uniform sample of the whole pool, drawn without replacement.
It would not be one if every batch asked a fixed number of new rows, or if rows were added to the sample for
being labelled already: both would prefer what the strategy did or did not choose.

A drawn row may stay without a label: skipped, nobody can tell, or still out to somebody. It stays in the
sample, as unanswered. Leaving it out would leave out hard examples, and the figures would be too good. A
certificate about the whole pool has to count unanswered rows as wrong; a figure without them is about
examples that can be answered, and has to say so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

RANDOM_SHARE = 0.15
"""The share of questions that draw from the random order."""

_STREAM = 7  # keeps the order independent of whatever else the seed decides


@dataclass(frozen=True, eq=False)
class RandomSample:
    """A uniform sample of the pool, as far as it was answered.

    Attributes:
        rows: (m,) int64, the drawn rows that have a label, in the order of the draws.
        unanswered: (u,) int64, the drawn rows that have none, in the order of the draws.
    """

    rows: np.ndarray
    unanswered: np.ndarray

    def __len__(self) -> int:
        return len(self.rows) + len(self.unanswered)


def random_order(n_rows: int, seed: int) -> np.ndarray:
    """Returns (n,) int64, the order in which a session draws rows of a pool at random.

    Args:
        n_rows: n, the rows of the pool.
        seed: the session's; it must stay the same for all of its batches.
    """
    return np.random.default_rng([_STREAM, seed]).permutation(n_rows)


def draws_after(questions: int, share: float = RANDOM_SHARE) -> int:
    """Returns how many rows of the order have been drawn after some questions: the share, rounded up.

    Args:
        questions: at least 0.
        share: in [0, 1].

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> [draws_after(questions) for questions in (0, 7, 10, 20, 100)]
        [0, 2, 2, 3, 15]
    """
    if questions < 0 or not 0.0 <= share <= 1.0:
        raise ValueError(
            f"a random share lies in [0, 1], and questions are at least 0. Received: {share}, {questions}"
        )
    # Rounded first: 0.15 x 20 is a little more than 3.
    return math.ceil(round(share * questions, 9))


def random_sample(order: np.ndarray, drawn: int, labelled: np.ndarray) -> RandomSample:
    """Tells which labelled rows are a random sample of the pool.

    Args:
        order: (n,) int64, the session's `random_order`.
        drawn: how many rows of it have been drawn, as `draws_after` says.
        labelled: (m,) int64, all rows that have a label, drawn or chosen.
    """
    rows = np.asarray(order)[:drawn]
    known = np.isin(rows, labelled)
    return RandomSample(rows[known], rows[~known])
