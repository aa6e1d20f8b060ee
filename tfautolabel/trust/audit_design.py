"""Which labels an audit looks at, and in which order; the sample prefers labels that are likely wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, rel_entr

from tfautolabel.trust.binomial import check_levels

SURER = (0.4, 0.6, 0.75, 0.85, 0.92, 0.97)
"""Shares of the labels, surest first, that bound the strata: finer strata where errors are expected."""
SLOPE = 0.7
"""How much the weights trust the scores: confidences from few labels are rough."""
_DOUBT = 1e-4
_HALVINGS = 60


@dataclass(frozen=True)
class AuditDesign:
    """How a sample is drawn without replacement: first with equal weights, then with a weight per stratum.

    The order depends on the seed only. So a longer list begins with the shorter one, and no answer influences
    which label comes next. In any set of labels that the scores define, the labels looked at are a sample of
    the same kind.

    Attributes:
        seed: determines the order.
        uniform: the first so many labels are a simple random sample. Each further label is drawn from the
            remaining ones with a probability proportional to its weight.
        edges: decreasing scores; a label's stratum is the number of edges above its score.
        weights: one weight for each stratum, above 0.
    """

    seed: int
    uniform: int
    edges: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def simple(cls, seed: int = 0) -> AuditDesign:
        """Returns a design for a simple random sample, in the order of `draw_audit`."""
        return cls(seed, 0, (), (1.0,))

    def strata(self, scores: np.ndarray) -> np.ndarray:
        """Returns each label's stratum, (m,) int64 in [0, number of weights), 0 for the surest labels."""
        edges = np.array(self.edges, np.float32)[::-1]
        return len(edges) - np.searchsorted(edges, np.asarray(scores, np.float32), side="right")

    def order(self, scores: np.ndarray, n: int | None = None) -> np.ndarray:
        """Returns (min(n, m),) int64, indices into `scores` in the order in which an audit looks at them."""
        count = len(scores)
        rng = np.random.default_rng(self.seed)
        shuffled = rng.permutation(count)
        first, rest = shuffled[: self.uniform], shuffled[self.uniform :]
        # Exponential clocks: which one rings next is random, in proportion to the remaining labels' weights.
        weights = np.array(self.weights)[self.strata(np.asarray(scores)[rest])]
        clocks = rng.exponential(size=len(rest)) / weights
        if len(self.weights) > 1:
            rest = rest[np.argsort(clocks, kind="stable")]
        return np.concatenate([first, rest])[:n]

    def to_dict(self) -> dict[str, Any]:
        """Returns the design as plain values, ready for JSON."""
        return {
            "seed": self.seed,
            "uniform": self.uniform,
            "edges": list(self.edges),
            "weights": list(self.weights),
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> AuditDesign:
        """Restores what `to_dict` returned."""
        return cls(entries["seed"], entries["uniform"], tuple(entries["edges"]), tuple(entries["weights"]))


def design_weights(scores: np.ndarray, target_error: float, uniform: int = 0, seed: int = 0) -> AuditDesign:
    """Returns the design with which an audit of these labels likely needs the fewest answers.

    Think of a game. A stratum's labels are wrong with probability q; the claim that the share of errors is
    above the target says r. The defender of the claim chooses one r per stratum, so that they are hardest to
    tell from the q. The auditor chooses the weights. At the saddle point all strata are equally informative:
    KL(q, r) is the same in each, and the weight of a stratum is r (1 - r) / (r - q). The weights differ
    little between strata, because errors could hide in a stratum with few audited labels.

    Args:
        scores: (m,) float, the confidences of the labels.
        target_error: in (0, 1).
        uniform: how many labels are first drawn with equal weights; fastest for an audit that finds no error.
        seed: determines the order.

    Returns:
        The design. It is valid even if the scores are bad.

    Raises:
        ValueError: If the target is not in (0, 1).
    """
    check_levels(target_error, 0.5)
    scores = np.asarray(scores, np.float32)
    simple = AuditDesign(seed, uniform, (), (1.0,))
    if not len(scores):
        return simple
    ordered = np.sort(scores)[::-1]
    edges = np.unique(ordered[(np.array(SURER) * len(ordered)).astype(np.int64)])[::-1]
    edges = edges[edges < ordered[0]]
    if not len(edges):
        return simple
    simple = AuditDesign(seed, uniform, tuple(map(float, edges)), (1.0,) * (len(edges) + 1))
    strata = simple.strata(scores)
    doubts, counts = doubt_of_strata(scores, strata, len(edges) + 1)
    said = float(np.clip((doubts * counts).sum() / counts.sum() / target_error, 0.2, 0.7))
    weights = _saddle(believed(doubts, counts, SLOPE, said * target_error), counts, target_error)
    return AuditDesign(seed, uniform, simple.edges, tuple(np.round(weights, 4).tolist()))


def doubt_of_strata(scores: np.ndarray, strata: np.ndarray, n_strata: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (s,) each stratum's share of errors by its scores, in (0, 1), and (s,) its number of labels."""
    counts = np.bincount(strata, minlength=n_strata).astype(np.float64)
    doubts = np.bincount(strata, np.clip(1.0 - scores.astype(np.float64), 0.0, 1.0), minlength=n_strata)
    return np.clip(doubts / np.maximum(counts, 1.0), _DOUBT, 1.0 - _DOUBT), counts


def believed(doubts: np.ndarray, counts: np.ndarray, slope: float, share: float) -> np.ndarray:
    """Returns (s,) shares of errors: slope x log odds of the doubts, shifted to give a certain mean share."""
    odds, low, high = slope * logit(doubts), -40.0, 40.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        too_few = (expit(odds + middle) * counts).sum() < share * counts.sum()
        low, high = (middle, high) if too_few else (low, middle)
    return np.asarray(expit(odds + low))


def _saddle(q: np.ndarray, counts: np.ndarray, target_error: float) -> np.ndarray:
    """Returns (s,) the weights at the saddle point, 1 on average."""

    def claims(told: float) -> np.ndarray:
        low, high = q.copy(), np.full(len(q), 1.0 - 1e-12)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2.0
            less = rel_entr(q, middle) + rel_entr(1.0 - q, 1.0 - middle) < told
            low, high = np.where(less, middle, low), np.where(less, high, middle)
        return low

    low, high = 0.0, -np.log1p(-target_error) + 1e-6
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        below = (claims(middle) * counts).sum() < target_error * counts.sum()
        low, high = (middle, high) if below else (low, middle)
    r = claims(low)
    weights = r * (1.0 - r) / np.maximum(r - q, 1e-9)
    return np.asarray(weights * counts.sum() / (weights * counts).sum())
