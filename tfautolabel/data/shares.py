"""Estimates the class shares in the unlabelled data from the class counts of few labels.

A head that trusts the shares of the labels prefers a class that happens to have one label more. With two or
three labels per class this alone can decide. If a person or a query strategy chose the examples, their shares
say nothing at all. Therefore every class gets some pseudo-counts, and more of them if less is known about how
the labels were drawn (the posterior mean under a symmetric Dirichlet prior; Jeffreys, Theory of Probability,
1961, section 3.23). The examples then get weights so that each class counts for its estimated share.
"""

from __future__ import annotations

import numpy as np

SAMPLINGS = {"unknown": 300.0, "random": 5.0, "chosen": np.inf}
"""How labelled examples were drawn, with the pseudo-counts that each class gets.

A "random" sample of the data to label has similar class shares. The shares of "chosen" examples say nothing.
For "unknown", nobody knows how they were drawn. Compared in `benchmarks/unequal_labels.py`."""


def check_sampling(sampling: str) -> None:
    """Refuses a value that is no key of `SAMPLINGS`.

    Raises:
        ValueError: If it is not a key.
    """
    if sampling not in SAMPLINGS:
        raise ValueError(
            f"sampling, how the labelled examples came about, is one of {', '.join(SAMPLINGS)}. Received: "
            f"sampling={sampling!r}"
        )


def believed_shares(counts: np.ndarray, sampling: str = "unknown") -> np.ndarray:
    """Returns the estimated shares of the classes.

    Args:
        counts: (k,) integers > 0, the labels of each class.
        sampling: a key of `SAMPLINGS`.

    Returns:
        (k,) float64, sums to 1.

    Raises:
        ValueError: If the sampling is unknown.

    Examples:
        >>> believed_shares(np.array([35, 5]), "random").tolist()
        [0.8, 0.2]
        >>> believed_shares(np.array([35, 5]), "chosen").tolist()
        [0.5, 0.5]
    """
    check_sampling(sampling)
    more = SAMPLINGS[sampling]
    believed = np.ones(len(counts)) if np.isinf(more) else np.asarray(counts, np.float64) + more
    return np.asarray(believed / believed.sum())


def share_weights(
    class_ids: np.ndarray, n_classes: int, sampling: str = "unknown"
) -> dict[int, float] | None:
    """Returns example weights that make each class count for its estimated share.

    Args:
        class_ids: (n,) int64 in [0, k); a class may have no example.
        n_classes: k.
        sampling: a key of `SAMPLINGS`.

    Returns:
        Class id to the weight of one example, with mean 1 over all examples; None if all classes have equally
        many labels, so that all weights are equal.

    Raises:
        ValueError: If the sampling is unknown.

    Examples:
        >>> share_weights(np.array([0, 0, 0, 1]), 2, "chosen")
        {0: 0.6666666666666666, 1: 2.0}
    """
    counts = np.bincount(class_ids, minlength=n_classes)
    present = counts > 0
    shares = np.zeros(n_classes)
    shares[present] = believed_shares(counts[present], sampling)
    if len(np.unique(counts[present])) < 2:
        return None
    return {
        number: len(class_ids) * float(share) / int(count) if count else 1.0
        for number, (share, count) in enumerate(zip(shares, counts, strict=True))
    }
