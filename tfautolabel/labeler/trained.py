"""The result of training a labeler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.labeler.voting import Voting


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of training.

    Attributes:
        history: the `keras.callbacks.History` of the head.
        out_of_fold: (n, k) float32, each example's probabilities from a model that has not seen it.
        folds: how many such models there were.
        calibrate_by: the kind of calibration that suits these probabilities, see `fit_calibration`.
        features: (n, d) float32, the examples' features from the backbone as it is now.
        record: a record of what was tuned.
        rules: a record of what was learnt from rules; None without rules.
        descriptions: a record of what was learnt from descriptions; None without descriptions.
        voting: makes labels depend on votes too; None if they do not.
    """

    history: Any
    out_of_fold: np.ndarray
    folds: int
    calibrate_by: str
    features: np.ndarray
    record: dict[str, Any]
    rules: dict[str, Any] | None = None
    descriptions: dict[str, Any] | None = None
    voting: Voting | None = None
