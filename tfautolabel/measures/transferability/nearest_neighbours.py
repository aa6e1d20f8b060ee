"""The leave-one-out accuracy of a vote among the nearest neighbours.

Cover and Hart, "Nearest neighbor pattern classification" (IEEE Transactions on Information Theory 13, 1967).
"""

from __future__ import annotations

import numpy as np

from tfautolabel.measures.transferability.checked import checked

NEIGHBOURS = 3
_CLOSENESS = 0.1
"""What a cosine of 1 adds to a neighbour's vote, so that among equal numbers the nearer ones win."""
_BLOCK = 1024


def neighbour_accuracy(features: np.ndarray, class_ids: np.ndarray, neighbours: int = NEIGHBOURS) -> float:
    """Returns the share of examples whose nearest neighbours, without themselves, vote for their class.

    The nearest have the largest cosine about the mean of all examples. A neighbour's vote counts 1 plus a
    tenth of its cosine. A class that gets as many votes as another has not won.

    Args:
        features: (n, d), finite; where they lie and their common scale do not matter.
        class_ids: (n,) integers, two classes at least.
        neighbours: how many vote, at least 1; all others if there are fewer.

    Returns:
        In [0, 1]; higher is better.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, there are fewer than two classes, or
            `neighbours` is below 1.

    Examples:
        >>> neighbour_accuracy(np.array([[0.0], [1.0], [8.0], [9.0]]), np.array([0, 0, 1, 1]), neighbours=1)
        1.0
    """
    values, numbers, counts = checked(features, class_ids)
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1. Received: neighbours={neighbours}")
    values = values - values.mean(axis=0)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.where(lengths > 0.0, lengths, 1.0)
    right, voters = 0, min(neighbours, len(values) - 1)
    for start in range(0, len(values), _BLOCK):
        block = numbers[start : start + _BLOCK]
        rows = np.arange(len(block))
        closeness = values[start : start + _BLOCK] @ values.T
        closeness[rows, start + rows] = -np.inf
        nearest = np.argsort(-closeness, axis=1, kind="stable")[:, :voters]
        votes = np.zeros((len(block), len(counts)))
        for column in nearest.T:
            votes[rows, numbers[column]] += 1.0 + _CLOSENESS * closeness[rows, column]
        own = votes[rows, block].copy()
        votes[rows, block] = -np.inf
        right += int(np.count_nonzero(own > votes.max(axis=1)))
    return right / len(values)
