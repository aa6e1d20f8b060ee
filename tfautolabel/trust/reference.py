"""What the examples looked like on which a model's labels were judged, so that it can notice others.

An exported model labels data that nobody compared with anything. It therefore carries statistics of the pool
of its run: means of the features, of all examples and of the predicted classes, and the leading directions of
the spread around them. No example can be read from these: a class's mean needs `OF_CLASS` examples.

The test of new examples is Hotelling's (The generalization of Student's ratio, 1931), in the leading
directions, on what is left after the mean of the predicted class was subtracted: so other shares of the
classes are no difference. The other directions are tested together by the length of the mean, with the
moments of a chi-squared distribution (Satterthwaite, An approximate distribution of estimates of variance
components, 1946). Both are approximate. They share the level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

LEVEL = 0.001
"""The largest p-value at which examples are another population; the test is approximate, so it is small."""

FEWEST, MOST = 50, 2_000
"""Examples below which no statistics are made, and so many are enough: others are drawn from at random."""

OF_CLASS = 20
"""Examples of a predicted class below which it has no mean of its own."""

_DIRECTIONS, _OF_EACH = 32, 10  # directions at most, and examples for each of them
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Reference:
    """Statistics of m examples.

    Attributes:
        counts: (k + 1,) int64, how many examples each of the means is of.
        means: (k + 1, d) float32, of features of length 1: of each predicted class, or of all examples where
            it has too few, and last of all examples.
        directions: (r, d) float32, the leading directions of the spread around these means.
        variances: (r,) float32 along them.
        rest: () float32, the sum of the variances in all other directions.
        freedom: () float32, to how many equal directions the others amount.
    """

    counts: np.ndarray
    means: np.ndarray
    directions: np.ndarray
    variances: np.ndarray
    rest: np.ndarray
    freedom: np.ndarray

    @classmethod
    def of(
        cls, features: np.ndarray, predicted: np.ndarray, n_classes: int, *, seed: int = 0
    ) -> Reference | None:
        """Returns the statistics of examples; None for fewer than `FEWEST`.

        Args:
            features: (m, d).
            predicted: (m,) int64 in [0, n_classes).
            n_classes: k.
            seed: determines which half of them gives the directions; the other half gives the variances.
        """
        if len(features) < FEWEST:
            return None
        rng = np.random.default_rng(seed)
        drawn = rng.permutation(len(features))[:MOST]
        values, predicted, count = _unit(features[drawn]), predicted[drawn], len(drawn)
        # Variances along directions that were found in the same examples would be too small in the others.
        first = rng.permutation(count) < count // 2
        means, _ = _means(values[first], predicted[first], n_classes, OF_CLASS // 2)
        spread = values - means[predicted]
        directions = np.linalg.svd(spread[first], full_matrices=False)[2]
        directions = directions[: min(_DIRECTIONS, count // _OF_EACH, len(directions))]
        second = spread[~first] - spread[~first].mean(axis=0)
        along = second @ directions.T
        left = np.linalg.svd(second - along @ directions, compute_uv=False) ** 2
        n = len(second) - 1
        freedom = left.sum() ** 2 / max(float((left**2).sum()), _TINY)
        means, counts = _means(values, predicted, n_classes, OF_CLASS)
        entries = means, directions, (along**2).sum(axis=0) / n, left.sum() / n, freedom
        return cls(counts, *(np.asarray(one, np.float32) for one in entries))

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the attributes, for a file or a graph."""
        return dict(vars(self))

    def p_value(self, features: np.ndarray, predicted: np.ndarray) -> float:
        """Returns how likely such a difference is if the examples are of the same population.

        Args:
            features: (n, d), n at least 1, of new examples.
            predicted: (n,) int64, their predicted classes.
        """
        off = (_unit(features) - self.means[predicted].astype(np.float64)).mean(axis=0)
        shares = np.bincount(predicted, minlength=len(self.counts)) / len(features)
        share = 1.0 / len(features) + float((shares**2 / self.counts).sum())
        along = self.directions.astype(np.float64) @ off
        leading = float((along**2 / np.maximum(self.variances * share, _TINY)).sum())
        left = max(float(off @ off - along @ along), 0.0)
        others = left / max(float(self.rest) * share, _TINY) * float(self.freedom)
        chances = chi2.sf(leading, max(len(along), 1)), chi2.sf(others, max(float(self.freedom), 1.0))
        return min(1.0, 2.0 * float(min(chances)))


def _means(
    values: np.ndarray, predicted: np.ndarray, n_classes: int, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (k + 1, d) means and how many examples each is of, as `Reference` has them."""
    means = np.repeat(values.mean(axis=0, keepdims=True), n_classes + 1, axis=0)
    counts = np.full(n_classes + 1, len(values), np.int64)
    of_classes = np.bincount(predicted, minlength=n_classes)
    for number in np.flatnonzero(of_classes >= least):
        means[number], counts[number] = values[predicted == number].mean(axis=0), of_classes[number]
    return means, counts


def _unit(features: np.ndarray) -> np.ndarray:
    values = np.asarray(features, np.float64)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY))
