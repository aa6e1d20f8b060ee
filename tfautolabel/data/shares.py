"""What the classes' shares among few labels say of the classes' shares in what is to be labelled.

A head that takes the labels' shares for the truth prefers the class that happens to have a label more: with
two or three labels a class that alone can decide. Where a person or a query strategy chose the examples their
shares say nothing at all. So every class is given some labels more in thought, the more the less is known of
how the labels came about (the posterior mean under a symmetric Dirichlet prior; Jeffreys, Theory of
Probability, 1961, section 3.23), and examples weigh so that each class counts for the share that is then
believed.
"""

from __future__ import annotations

import numpy as np

SAMPLINGS = {"unknown": 300.0, "random": 5.0, "chosen": np.inf}
"""How labelled examples came about, and how many labels more each class is given in thought: drawn at random
from what is to be labelled, so that they share its shares; chosen, so that their shares say nothing; or
nobody knows. Compared in `benchmarks/unequal_labels.py`."""


def check_sampling(sampling: str) -> None:
    """Refuses what is no key of `SAMPLINGS`.

    Raises:
        ValueError: If it is none.
    """
    if sampling not in SAMPLINGS:
        raise ValueError(
            f"sampling, how the labelled examples came about, is one of {', '.join(SAMPLINGS)}. Received: "
            f"sampling={sampling!r}"
        )


def believed_shares(counts: np.ndarray, sampling: str = "unknown") -> np.ndarray:
    """The shares that classes are believed to have.

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
    """Weights by which each class counts for the share that it is believed to have.

    Args:
        class_ids: (n,) int64 in [0, k); a class may have no example.
        n_classes: k.
        sampling: a key of `SAMPLINGS`.

    Returns:
        Class id to the weight of one example, 1 on the mean of all examples; None where all weigh the same
        because the classes have as many labels as each other.

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
