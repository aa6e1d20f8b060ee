"""LogME: the evidence of a linear model of the labels.

You, Liu, Wang and Long, "LogME: practical assessment of pre-trained models for transfer learning" (ICML 2021,
arXiv 2102.11005). The paper finds the two precisions by a fixed point, which can stop at a local maximum.
Here the precision of the noise is eliminated in closed form, and the ratio that is left is searched.
"""

from __future__ import annotations

import numpy as np

from tfautolabel.measures.transferability.checked import checked

_REACH = 12.0
"""The search goes so many powers of ten beyond the features' squared singular values, in both directions."""
_STEPS, _ROUNDS = 97, 4


def log_evidence(features: np.ndarray, class_ids: np.ndarray) -> float:
    """Returns the log evidence of Bayesian linear regression of one-hot labels, per example and class.

    The weights have the prior N(0, 1/α) and the labels the noise N(0, 1/β), without an offset. The evidence
    is maximised over α and β for each class, and averaged over the classes. Values for features of
    very different length d cannot be compared: it prefers the longer ones.

    Args:
        features: (n, d), finite and not all zero; their common scale and rotations do not matter.
        class_ids: (n,) integers, two classes at least.

    Returns:
        In nats, any number; higher is better.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, all are zero, or there are fewer than
            two classes.
    """
    values, numbers, counts = checked(features, class_ids)
    n = len(values)
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    if not singular[0] > 0.0:
        raise ValueError("features must not all be zero. Received: only zeros")
    rank = int(np.count_nonzero(singular > singular[0] * max(values.shape) * np.finfo(float).eps))
    left, squares = left[:, :rank], singular[:rank] ** 2
    targets = (numbers[:, None] == np.arange(len(counts))).astype(float)
    inside = (left.T @ targets) ** 2
    outside = np.maximum(counts - inside.sum(axis=0), 0.0) if rank < n else np.zeros(len(counts))
    best = [_highest(squares, inside[:, number], outside[number], n) for number in range(len(counts))]
    return float(np.mean(best)) / n


def _highest(squares: np.ndarray, inside: np.ndarray, outside: float, n: int) -> float:
    """Returns the largest evidence of one class, by a grid over the ratio α/β that narrows.

    Args:
        squares: (r,) squared singular values, positive.
        inside: (r,) squares of the labels' coordinates along the singular vectors.
        outside: the squared length of the labels outside their span.
        n: number of examples.
    """
    low, high = np.log(squares[-1]) - _REACH * np.log(10.0), np.log(squares[0]) + _REACH * np.log(10.0)
    best = -np.inf
    for _ in range(_ROUNDS):
        grid = np.linspace(low, high, _STEPS)
        # For a given ratio, the best β is n / (residual + ratio · squared weights).
        kept = 1.0 / (1.0 + squares[None, :] / np.exp(grid)[:, None])
        misfit = np.maximum(outside + kept @ inside, np.finfo(float).tiny)
        evidence = 0.5 * (n * np.log(n / misfit) + np.log(kept).sum(axis=1) - n * np.log(2.0 * np.pi) - n)
        at = int(evidence.argmax())
        best = max(best, float(evidence[at]))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, _STEPS - 1)]
    return best
