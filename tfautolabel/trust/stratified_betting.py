"""Evidence from an audit that prefers some labels, valid for any share of errors and at any time.

As in `betting`, the claim is that at least K of M labels are wrong, and a bettor's wealth is the evidence.
Here the next label is drawn from stratum h with a known probability: p_h for each remaining label of it
(Waudby-Smith and Ramdas, arXiv 2006.04347 and 2010.09686; Shekhar, Xu, Lipton, Liang and Ramdas, arXiv
2305.06884, for weights). The wealth is multiplied by a_h where the label is right and by a_h - v / (n p_h)
where it is wrong, when n labels remain. On average that is

    sum over labels of p a  -  v x (share of the labels left that are wrong),

which depends only on how many labels are wrong, not on where they are: errors cannot be hidden. It is at most
1 under the claim if it is 1 at the claimed share m.

Which a and v win most for a bettor who believes that a share q_h of each stratum is wrong? The likelihood
ratio against the claim that is hardest to tell from it: a_h = (1 - q_h) / (1 - r_h), where r_h solves
d r^2 + (1 - d) r - q_h = 0 with d = v / (n p_h), and v is such that the r_h have the mean m. Beliefs may be
wrong: then the bettor wins less, but the evidence is still valid.

The stake is split over several beliefs: that no label is wrong, or that a share of labels equal to some part
of the target is wrong, spread evenly or as the scores say. Two fifths of the stake on the latter go near the
share of errors that the scores suggest.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import logsumexp

from tfautolabel.trust.audit_design import AuditDesign, believed, doubt_of_strata

NOTHING_WRONG = 0.46
"""The part of the stake on the belief that no label is wrong; it makes audits without an error fastest."""
PARTS = np.array([0.1, 0.2, 0.35, 0.55, 0.8])
PART_STAKES = np.array([0.15, 0.3, 0.3, 0.15, 0.1])
"""Believed shares of errors, as parts of the target, and the stakes on them if the scores say nothing."""
SLOPES = np.array([0.0, 0.5, 1.0])
SLOPE_STAKES = np.array([0.2, 0.4, 0.4])
"""How strongly errors are believed to depend on the scores, as factors of their log odds."""
_SAID, _WIDTH = 0.4, 0.6
_STEPS = 9
_AT_ONCE = 512


def log_wealth(
    scores: np.ndarray,
    order: np.ndarray,
    wrong: np.ndarray,
    design: AuditDesign,
    target_error: float,
    among: np.ndarray | None = None,
) -> np.ndarray:
    """Returns the log wealth after each answer, against the claim that the share is above the target.

    Args:
        scores: (m,) float, the scores of all labels.
        order: (t,) int64, the indices of the audited labels, in the order of the design.
        wrong: (t,) bool, whether each label was wrong.
        design: how the labels were drawn.
        target_error: in (0, 1).
        among: (m,) bool, the labels that the claim is about; all by default. It may depend only on the
            scores. After an answer about another label, the wealth stays the same.

    Returns:
        (t,) float64; infinite once the claim has become impossible.
    """
    among = np.ones(len(scores), bool) if among is None else among
    order, wrong = np.asarray(order), np.asarray(wrong, bool)
    strata, n_strata = design.strata(scores), len(design.weights)
    beliefs, stakes = _beliefs(scores[among], strata[among], n_strata, target_error)
    steps = np.flatnonzero(among[order])
    wealth = np.zeros(len(order))
    if not len(steps):
        return wealth
    drawn, errors = strata[order[steps]], wrong[steps]
    seen = np.zeros((len(steps), n_strata))
    seen[np.arange(len(steps)), drawn] = 1.0
    left = np.bincount(strata[among], minlength=n_strata) - (np.cumsum(seen, axis=0) - seen)
    size = int(among.sum())
    claimed = math.floor(target_error * size + 1e-9) + 1 - (np.cumsum(errors) - errors)
    weights = np.where((steps < design.uniform)[:, None], 1.0, np.array(design.weights))
    gains = np.empty((len(steps), len(beliefs)))
    for start in range(0, len(steps), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        gains[part] = _gains(left[part], weights[part], claimed[part], drawn[part], errors[part], beliefs)
    paths = logsumexp(np.cumsum(gains, axis=0) + np.log(stakes), axis=1)
    paths = np.where(paths > 1e5, np.inf, paths)
    held = np.cumsum(among[order]) - 1
    return np.where(held >= 0, paths[np.maximum(held, 0)], wealth)


def _beliefs(
    scores: np.ndarray, strata: np.ndarray, n_strata: int, target_error: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (b, s) shares of errors, and (b,) the stakes on them."""
    doubts, counts = doubt_of_strata(scores, strata, n_strata)
    said = float((doubts * counts).sum() / counts.sum()) / target_error
    near = np.exp(-0.5 * (np.log(PARTS / np.clip(said, PARTS[0], PARTS[-1])) / _WIDTH) ** 2)
    parts = (1.0 - _SAID) * PART_STAKES + _SAID * near / near.sum()
    # With one stratum, there is no slope.
    slopes, slope_stakes = (SLOPES, SLOPE_STAKES) if n_strata > 1 else (SLOPES[:1], np.ones(1))
    found = [believed(doubts, counts, slope, part * target_error) for part in PARTS for slope in slopes]
    stakes = (1.0 - NOTHING_WRONG) * np.outer(parts, slope_stakes).ravel()
    return np.vstack([np.zeros(n_strata), *found]), np.concatenate([[NOTHING_WRONG], stakes])


def _gains(
    left: np.ndarray,
    weights: np.ndarray,
    claimed: np.ndarray,
    drawn: np.ndarray,
    errors: np.ndarray,
    q: np.ndarray,
) -> np.ndarray:
    """Returns (t, b) logarithms of the factor by which each answer multiplies the wealth on each belief."""
    total = left.sum(axis=1)
    share, mean = left / total[:, None], claimed / total
    # 1 / (number of remaining labels x probability of each label of the stratum).
    rarity = (left * weights).sum(axis=1)[:, None] / (weights * total[:, None])
    inside = np.clip(mean, 1e-12, 1.0 - 1e-9)[:, None]

    believed_mean = (q * share[:, None, :]).sum(axis=2)
    low, high = np.full(believed_mean.shape, -12.0), np.full(believed_mean.shape, 24.0)
    # Exact if all strata are equal; then Newton's method, with bisection when it leaves the valid range.
    log_v = np.log(np.maximum(inside - believed_mean, 1e-9) / (inside * (1.0 - inside)))
    r = d = np.zeros(0)
    for _ in range(_STEPS):
        d = np.exp(log_v)[..., None] * rarity[:, None, :]
        root = np.sqrt((1.0 - d) ** 2 + 4.0 * d * q)
        r = np.where(d < 1.0, 2.0 * q / np.maximum(1.0 - d + root, 1e-300), (d - 1.0 + root) / (2.0 * d))
        r = np.minimum(r, 1.0 - 1e-9)
        v = np.exp(log_v)
        off = (r * share[:, None, :]).sum(axis=2) - inside
        slope = (d * r * (1.0 - r) / np.maximum(root, 1e-12) * share[:, None, :]).sum(axis=2)
        low, high = np.where(off < 0.0, log_v, low), np.where(off < 0.0, high, log_v)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = log_v - off / slope
        log_v = np.where((step >= low) & (step <= high), step, (low + high) / 2.0)
    right = (1.0 - q) / (1.0 - r)
    # The mean of r only approximates the claim; the wealth is divided by what the difference is worth.
    average = (right * share[:, None, :] / rarity[:, None, :]).sum(axis=2) - v * inside
    rows = np.arange(len(left))
    right_gain = right[rows, :, drawn]
    gain = np.where(errors[:, None], np.maximum(right_gain - d[rows, :, drawn], 0.0), right_gain)
    with np.errstate(divide="ignore"):
        logs = np.log(gain) - np.log(np.maximum(average, 1.0))
    # No bet if the belief is above the claim, or if all claimed errors have been found.
    idle = (believed_mean >= inside) | (mean <= 0.0)[:, None]
    # No bet either if rounding would make an error cost more than the wealth.
    idle |= ((right < d * (1.0 - 1e-9)) & (left > 0)[:, None, :]).any(axis=2)
    logs = np.where(idle, 0.0, logs)
    # The claim needs all remaining labels, or more, to be wrong: a right one, or none left, refutes it.
    sure = (mean >= 1.0) & ~errors | (mean > 1.0)
    return np.where(sure[:, None], 1e6, logs)
