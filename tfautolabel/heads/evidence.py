"""Averages several heads by how well each predicts labels that it has not seen.

To choose the best head by cross-validation on 16 labels is often wrong. An average with weights in proportion
to the held-out likelihood is nearly as good as the best choice, and far safer (Bayesian model averaging:
Hoeting et al., Statistical Science 14, 1999, with the held-out likelihood in place of the marginal one).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EXPONENTS = (0.35, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0, 3.0, 4.0)
"""The exponents of probabilities, inverse temperatures, that are tried."""

HEAD_START = 1.0
"""So many nats the plain head is ahead: others must be shown better."""

FLOOR = 1e-6
"""A single confident mistake must not decide."""


def best_exponent(held_out: np.ndarray, class_ids: np.ndarray, weights: np.ndarray) -> float:
    """Returns the exponent that makes held-out probabilities the most likely.

    The targets are softened as if one more example had been wrong, so that a run without an error does not
    end in certainty.

    Args:
        held_out: (n, k), rows sum to 1.
        class_ids: (n,) int64 in [0, k).
        weights: (n,) >= 0, how much each label counts.
    """
    n, k = held_out.shape
    doubt = 1.0 / (n + 2.0)
    target = np.full((n, k), doubt / max(k - 1, 1))
    target[np.arange(n), class_ids] = 1.0 - doubt
    target *= weights[:, None]
    return max(EXPONENTS, key=lambda one: float((target * np.log(sharpened(held_out, one))).sum()))


def sharpened(probabilities: np.ndarray, exponent: float) -> np.ndarray:
    """Returns (n, k) probabilities raised to an exponent; rows sum to 1 again."""
    raised = np.maximum(probabilities, FLOOR) ** exponent
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def log_likelihoods(probabilities: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Returns (n,) natural logarithms of the probabilities of the right classes."""
    own = probabilities[np.arange(len(class_ids)), class_ids]
    return np.asarray(np.log(np.maximum(own, FLOOR)))


def gain(before: np.ndarray, after: np.ndarray, class_ids: np.ndarray) -> tuple[float, float, float]:
    """Compares two heads on the same held-out labels.

    Args:
        before: (n, k) probabilities of the one.
        after: (n, k), of the other.
        class_ids: (n,) int64, n >= 1.

    Returns:
        The share of right labels before and after, in [0, 1], and the gain in nats of log-likelihood over all
        labels.
    """
    right = [float((one.argmax(axis=1) == class_ids).mean()) for one in (before, after)]
    nats = float((log_likelihoods(after, class_ids) - log_likelihoods(before, class_ids)).sum())
    return right[0], right[1], nats


def evidence_weights(likelihoods: Sequence[float], head_start: float = HEAD_START) -> np.ndarray:
    """Returns the weights of m heads.

    Args:
        likelihoods: m sums of log-likelihoods of the same held-out labels, in nats; the first is of the
            head that needs no pool.
        head_start: in nats, >= 0.

    Returns:
        (m,) float64, they sum to 1.

    Examples:
        >>> evidence_weights([-10.0, -9.0]).tolist()
        [0.5, 0.5]
    """
    total = np.array(likelihoods, np.float64)
    total[0] += head_start
    weights = np.exp(total - total.max())
    return np.asarray(weights / weights.sum())


def mixed_by_evidence(
    held_out: Sequence[np.ndarray], class_ids: np.ndarray, folds: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weighs heads by held-out labels, and predicts each label with weights that it had no say in.

    Args:
        held_out: m arrays (n, k), each head's probabilities for labels that it has not seen; the plain
            head first.
        class_ids: (n,) int64 in [0, k).
        folds: (n,) int64, the examples that were held out together.
        weights: (n,) >= 0, how much each label counts; 0 for one that says nothing.

    Returns:
        (m,) weights, which sum to 1; (m,) exponents; and (n, k) float32 held-out probabilities of the
        average, of which the weights and exponents for each fold come from the other folds.
    """

    def weighed(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        exponents = np.ones(len(held_out))
        totals = np.zeros(len(held_out))
        for number, one in enumerate(held_out):
            if weights[rows].any():
                exponents[number] = best_exponent(one[rows], class_ids[rows], weights[rows])
            found = log_likelihoods(sharpened(one[rows], exponents[number]), class_ids[rows])
            totals[number] = float(found @ weights[rows])
        return evidence_weights(totals.tolist()), exponents

    average = np.zeros(held_out[0].shape, np.float32)
    for fold in np.unique(folds):
        out = folds == fold
        shares, exponents = weighed(np.flatnonzero(~out))
        for share, exponent, one in zip(shares, exponents, held_out, strict=True):
            average[out] += (share * sharpened(one[out], exponent)).astype(np.float32)
    return *weighed(np.arange(len(class_ids))), average
