"""Corrects a linear model for wrong shares of the classes in what it was fitted on.

Rules that find one class only say which examples are of it, but also that nearly all are. Labels say how
common the classes are. The correction is that of G. King and L. Zeng (Logistic Regression in Rare Events
Data, Political Analysis 2001): it moves the biases and leaves the weights as they are.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import chisquare

from tfautolabel.labeler.linear_model import Linear

PRIOR = 10.0
"""What was fitted counts as so many labels for the classes' shares; the labels count for the rest."""

CHANCE = 0.0027
"""Shares are corrected if labels as unlike those of the votes as these would be less probable than this.

That is three standard errors, from which on a rule is said to be worse than chance too.
"""


def with_shares_of(class_ids: np.ndarray, found: Linear, taught: np.ndarray, said: np.ndarray) -> Linear:
    """Gives a model the classes' shares among labels, if the votes' shares differ from these beyond chance.

    Args:
        class_ids: (g,) int64 in [0, k), the labels; g may be 0.
        found: the model.
        taught: (k,) >= 0, how much of each class it was fitted on, with the labels.
        said: (k,) >= 0, how much of each class the votes say.
    """
    seen = taught > 0.0
    if not len(class_ids) or np.count_nonzero(seen) < 2:
        return found
    shares = taught[seen] / taught[seen].sum()
    labelled = np.bincount(class_ids, minlength=len(taught))[seen]
    # A class without votes is improbable by them, but not impossible.
    expected = (said[seen] + 1e-3 * said[seen].sum()) / (said[seen].sum() * (1.0 + 1e-3 * len(shares)) or 1.0)
    if not expected.any() or chisquare(labelled, labelled.sum() * expected).pvalue > CHANCE:
        return found
    wanted = (labelled + PRIOR * shares) / (labelled.sum() + PRIOR)
    bias = found.bias.copy()
    bias[seen] += np.log(wanted / shares).astype(np.float32)
    return Linear(found.weights, bias)
