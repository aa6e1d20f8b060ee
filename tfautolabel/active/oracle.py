"""A person, played by known labels."""

from __future__ import annotations

import numpy as np


class Oracle:
    """Answers questions from known labels, some of them wrong.

    The answer to a row is always the same, however often and in whatever order rows are asked.

    Args:
        truth: (n,) int64 in [0, k).
        n_classes: k.
        error_rate: in [0, 1), how often an answer is another class, each of the others alike.
        seed: decides which answers are wrong, and how.

    Raises:
        ValueError: If the error rate is out of range, or there is only one class to answer with errors.
    """

    def __init__(self, truth: np.ndarray, n_classes: int, *, error_rate: float = 0.0, seed: int = 0) -> None:
        if not 0.0 <= error_rate < 1.0 or (error_rate and n_classes < 2):
            raise ValueError(
                f"an error rate lies in [0, 1), and wrong answers need two classes. Received: {error_rate}, "
                f"{n_classes} classes"
            )
        rng = np.random.default_rng(seed)
        truth = np.asarray(truth, np.int64)
        wrong = rng.random(len(truth)) < error_rate
        others = (truth + rng.integers(1, max(n_classes, 2), len(truth))) % n_classes
        self.answers = np.where(wrong, others, truth)

    def answer(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m,) int64, the answers for (m,) rows."""
        return np.asarray(self.answers[rows])
