"""Asks what stands for most of what the head doubts: one strategy for few and for many labels.

Bae, Oliveira and Sutherland, Uncertainty Herding: One Active Learning Method for All Label Budgets, ICLR 2025
(arXiv 2412.20644). Here the doubt is one minus the margin, and the kernel keeps its width.
"""

from __future__ import annotations

from tfautolabel.active.contract import Chosen, PoolState
from tfautolabel.active.coverage import cover
from tfautolabel.active.doubt import doubts
from tfautolabel.active.strategies.herding import herding

REASON = "The model is unsure of many examples like this one."


def uncertainty_herding(state: PoolState, n: int, *, seed: int) -> Chosen:
    """Chooses by coverage, weighted by doubt; see `Strategy`. Without a head it is `herding`."""
    if state.probabilities is None:
        return herding(state, n, seed=seed)
    weights = doubts(state, state.geometry.reference)
    return Chosen.alike(cover(state, n, weights, seed), REASON)
