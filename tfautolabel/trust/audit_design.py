"""Which labels an audit looks at, and in which order: a sample that prefers labels that are likely wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, rel_entr

from tfautolabel.trust.binomial import check_levels

SURER = (0.4, 0.6, 0.75, 0.85, 0.92, 0.97)
"""Shares of the labels, the surest first, at which strata are divided: finer where errors are expected."""
SLOPE = 0.7
"""How much of what the scores say the weights believe: confidences of few labels are rough."""
_DOUBT = 1e-4
_HALVINGS = 60


@dataclass(frozen=True)
class AuditDesign:
    """How a sample is drawn without replacement: at first each label alike, then by a weight of its stratum.

    The order is drawn from the seed alone, so a longer list begins with a shorter one, and no answer
    influences what is looked at next. Among the labels of any set that the scores define, those looked at
    are a sample of the same kind.

    Attributes:
        seed: decides the order.
        uniform: so many labels are a simple random sample; each further one is drawn among those left with
            a probability in proportion to its weight.
        edges: falling scores; a label's stratum is the number of edges that its score lies below.
        weights: one a stratum, above 0.
    """

    seed: int
    uniform: int
    edges: tuple[float, ...]
    weights: tuple[float, ...]

    @classmethod
    def simple(cls, seed: int = 0) -> AuditDesign:
        """A simple random sample, in the order of `draw_audit`."""
        return cls(seed, 0, (), (1.0,))

    def strata(self, scores: np.ndarray) -> np.ndarray:
        """(m,) int64 in [0, number of weights), 0 for the surest."""
        edges = np.array(self.edges, np.float32)[::-1]
        return len(edges) - np.searchsorted(edges, np.asarray(scores, np.float32), side="right")

    def order(self, scores: np.ndarray, n: int | None = None) -> np.ndarray:
        """(min(n, m),) int64, places in `scores` in the order in which they are to be looked at."""
        count = len(scores)
        rng = np.random.default_rng(self.seed)
        shuffled = rng.permutation(count)
        first, rest = shuffled[: self.uniform], shuffled[self.uniform :]
        # Whose exponential clock rings next is drawn in proportion to the weights among those left.
        weights = np.array(self.weights)[self.strata(np.asarray(scores)[rest])]
        clocks = rng.exponential(size=len(rest)) / weights
        if len(self.weights) > 1:
            rest = rest[np.argsort(clocks, kind="stable")]
        return np.concatenate([first, rest])[:n]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return {
            "seed": self.seed,
            "uniform": self.uniform,
            "edges": list(self.edges),
            "weights": list(self.weights),
        }

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> AuditDesign:
        """What `to_dict` gave, back again."""
        return cls(entries["seed"], entries["uniform"], tuple(entries["edges"]), tuple(entries["weights"]))


def design_weights(scores: np.ndarray, target_error: float, uniform: int = 0, seed: int = 0) -> AuditDesign:
    """The design with which an audit of these labels is likely to need the fewest answers.

    A label that is wrong with probability q tells most against the claim of another probability r. Who
    defends the claim that the share of errors is above the target chooses the r, one a stratum, that are
    hardest to tell from the q; who audits chooses the weights. At the saddle point all strata tell equally
    much, KL(q, r) is the same in each, and the weight of a stratum is r (1 - r) / (r - q). It differs little
    between strata: a stratum that is hardly looked at is where errors could hide.

    Args:
        scores: (m,) float, the confidences of the labels.
        target_error: in (0, 1).
        uniform: how many are drawn alike at first; an audit that finds no error is fastest so.
        seed: decides the order.

    Returns:
        The design. It is valid whatever the scores are worth.

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
    """(s,) the share of errors that the scores of each stratum say, in (0, 1), and (s,) how many it holds."""
    counts = np.bincount(strata, minlength=n_strata).astype(np.float64)
    doubts = np.bincount(strata, np.clip(1.0 - scores.astype(np.float64), 0.0, 1.0), minlength=n_strata)
    return np.clip(doubts / np.maximum(counts, 1.0), _DOUBT, 1.0 - _DOUBT), counts


def believed(doubts: np.ndarray, counts: np.ndarray, slope: float, share: float) -> np.ndarray:
    """(s,) shares of errors with a given mean, whose log odds differ as those of the doubts times a slope."""
    odds, low, high = slope * logit(doubts), -40.0, 40.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        too_few = (expit(odds + middle) * counts).sum() < share * counts.sum()
        low, high = (middle, high) if too_few else (low, middle)
    return np.asarray(expit(odds + low))


def _saddle(q: np.ndarray, counts: np.ndarray, target_error: float) -> np.ndarray:
    """(s,) the weights at the saddle point, 1 on average."""

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
