"""The H-score with a shrunk covariance: how much of the features' variance is between the classes.

Bao et al., "An information-theoretic approach to transferability in task transfer learning" (ICIP 2019);
Ibrahim, Ponomareva and Mazumder, "Newer is not always better: rethinking transferability metrics, their
peculiarities, stability and performance" (2021, arXiv 2110.06893) for the shrinkage, which is that of Ledoit
and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004).
"""

from __future__ import annotations

import numpy as np

from tfautolabel.measures.transferability.checked import checked


def h_score(features: np.ndarray, class_ids: np.ndarray) -> float:
    """Returns the trace of the inverse shrunk covariance times the covariance of the class means.

    It is computed in the span of the examples: no matrix of d x d numbers is made.

    Args:
        features: (n, d), finite and not all equal; where they lie and their common scale do not matter.
        class_ids: (n,) integers, k >= 2 classes.

    Returns:
        In [0, k - 1]; higher is better.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, all rows are equal, or there are
            fewer than two classes.
    """
    values, numbers, counts = checked(features, class_ids)
    n, d = values.shape
    values = values - values.mean(axis=0)
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    variances = singular**2 / n
    if not variances[0] > 0.0:
        raise ValueError("features must not be the same in every row. Received: equal rows")
    mean_variance = float(variances.sum()) / d
    square_sum = float((variances**2).sum())
    lengths = np.sum(values**2, axis=1)
    noise = max(float((lengths**2).mean()) - square_sum, 0.0) / n
    off_target = square_sum - d * mean_variance**2
    shrinkage = min(1.0, noise / off_target) if off_target > 0.0 else 0.0
    # The coordinates of the class means along the directions in which the examples vary.
    projected = left * singular
    sums = np.zeros((len(counts), projected.shape[1]))
    np.add.at(sums, numbers, projected)
    between = ((sums / counts[:, None]) ** 2 * counts[:, None]).sum(axis=0) / n
    shrunk = (1.0 - shrinkage) * variances + shrinkage * mean_variance
    used = shrunk > variances[0] * max(n, d) * np.finfo(float).eps
    return float((1.0 - shrinkage) * (between[used] / shrunk[used]).sum())
