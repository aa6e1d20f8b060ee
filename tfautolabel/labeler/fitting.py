"""Trains a labeler: the head, and the backbone if the plan says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.folds import twin_numbers
from tfautolabel.features import Extraction
from tfautolabel.labeler.reading import Reading
from tfautolabel.labeler.start import Start
from tfautolabel.labeler.trained import Trained
from tfautolabel.labeler.transfer import Plan, tune_backbone
from tfautolabel.labeler.weak_labels import WeakLabels, train_by_rules
from tfautolabel.training import train_head
from tfautolabel.training.feature_transfer import untrained_copy


def train(
    plan: Plan,
    reading: Reading,
    head: keras.Model,
    start: Start,
    examples: Dataset,
    extraction: Extraction,
    class_ids: np.ndarray,
    classes: Sequence[str],
    weights: dict[int, float] | None,
    fit_options: dict[str, Any],
    weak: WeakLabels | None = None,
) -> Trained:
    """Trains a head on frozen features; then, if planned, the backbone with a head like it.

    Args:
        plan: what may learn.
        reading: the backbone, changed in place if tuning helps.
        head: compiled and as it was before the first fit; trained in place.
        start: keeps the original weights of a backbone that is tuned.
        examples: n labelled examples that can all be read.
        extraction: their features.
        class_ids: (n,) int64 in [0, k).
        classes: k names.
        weights: class id to weight.
        fit_options: options of `keras.Model.fit`.
        weak: votes of rules, from which a linear head learns too; the backbone then stays frozen.
    """
    if weak is not None:
        return train_by_rules(head, weak, extraction.features, class_ids, plan.seed)
    blank = untrained_copy(head, extraction.features)
    trained = train_head(
        head, extraction.features, class_ids, class_weight=weights, seed=plan.seed, **fit_options
    )
    out_of_fold, folds, calibrate_by = trained.out_of_fold, trained.n_folds, "auto"
    features, record = extraction.features, {"asked": plan.transfer, "method": "feature"}
    if plan.transfer != "feature":
        result, record = tune_backbone(
            plan, reading.backbone, head, blank, start, examples, class_ids, classes, extraction.digest,
            twin_numbers(extraction.features), weights, fit_options,
        )  # fmt: skip
        if result is not None and result.out_of_fold is not None:
            out_of_fold, folds, calibrate_by = result.out_of_fold, result.n_folds, "temperature"
            if result.kept:
                features = reading.extract(examples).features
    return Trained(trained.history, out_of_fold, folds, calibrate_by, features, record)
