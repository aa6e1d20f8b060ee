"""Asks where the two likeliest classes are closest.

Scheffer, Decomain and Wrobel, Active Hidden Markov Models for Information Extraction, IDA 2001.
"""

from __future__ import annotations

from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.doubt import most_doubtful
from tfautolabel.active.strategies.herding import herding

REASON = "The model hesitates between two classes."


def margin(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses the most doubtful rows; see `Strategy`. Without a head it is `herding`."""
    if state.probabilities is None:
        return herding(state, n, seed=seed)
    return Chosen.alike(most_doubtful(state, state.open, n, seed), REASON)
