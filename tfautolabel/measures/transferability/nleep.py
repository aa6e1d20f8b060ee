"""NLEEP: how well clusters of the features foretell the labels.

Li et al., "Ranking neural checkpoints" (CVPR 2021, arXiv 2011.11200). It is the LEEP score of Nguyen et al.
(ICML 2020, arXiv 2002.12462) with a Gaussian mixture's clusters in the place of a source classifier's
classes. The paper takes five clusters a class; with few labels here are two, and at most one for three
examples.
"""

from __future__ import annotations

import warnings

import numpy as np

from tfautolabel.measures.transferability.checked import checked

ENERGY, MOST_DIMENSIONS = 0.8, 32
"""The share of the variance that the principal components keep, as in the paper, and how many they may be."""
CLUSTERS_PER_CLASS, EXAMPLES_PER_CLUSTER = 2, 3


def nleep(features: np.ndarray, class_ids: np.ndarray, *, seed: int = 0) -> float:
    """Returns the mean log-probability of each label, given the clusters that its example belongs to.

    Args:
        features: (n, d), n >= 2, finite and not all equal.
        class_ids: (n,) integers, two classes at least.
        seed: decides where the mixture starts.

    Returns:
        In nats, at most 0; higher is better.

    Raises:
        ValueError: If the shapes do not match, a feature is not finite, all rows are equal, or there are
            fewer than two classes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    values, numbers, counts = checked(features, class_ids)
    values = values - values.mean(axis=0)
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    if not singular[0] > 0.0:
        raise ValueError("features must not be the same in every row. Received: equal rows")
    energy = np.cumsum(singular**2) / np.sum(singular**2)
    dimensions = int(np.clip(np.searchsorted(energy, ENERGY) + 1, 1, MOST_DIMENSIONS))
    components = (left * singular)[:, :dimensions]
    clusters = max(2, min(CLUSTERS_PER_CLASS * len(counts), len(values) // EXAMPLES_PER_CLUSTER))
    mixture = GaussianMixture(
        clusters,
        covariance_type="diag",
        reg_covar=1e-3 * float(components.var()),
        random_state=seed,
        max_iter=50,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nearly converged mixture is good enough
        belongs = mixture.fit(components).predict_proba(components)
    joint = np.zeros((len(counts), clusters))
    np.add.at(joint, numbers, belongs / len(values))
    given_cluster = joint / np.maximum(joint.sum(axis=0), np.finfo(float).tiny)
    expected = np.sum(belongs * given_cluster[numbers], axis=1)
    return float(np.minimum(np.log(np.maximum(expected, np.finfo(float).tiny)), 0.0).mean())
