"""Trains a labeler: the head, and the backbone if the plan says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.folds import twin_numbers
from tfautolabel.features import Extraction
from tfautolabel.heads.auto import linear_record
from tfautolabel.heads.contract import learns_from_pool
from tfautolabel.heads.meta import MetaHead, not_used
from tfautolabel.labeler.mapped import check_mapped, refuse_known
from tfautolabel.labeler.reading import Reading
from tfautolabel.labeler.start import Start
from tfautolabel.labeler.teacher import Teacher
from tfautolabel.labeler.trained import Trained
from tfautolabel.labeler.transfer import Plan, tune_backbone
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
    teacher: Teacher | None = None,
    pool: np.ndarray | None = None,
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
        teacher: what a linear head learns from besides labels; the backbone then stays frozen.
        pool: (m, d) float32, features of examples to label; only of use to a head that learns from a pool, on
            a backbone that stays frozen, without a teacher.
    """
    check_mapped(head, reading.backbone, plan.transfer)
    refuse_known(head, examples, extraction.contents)
    if teacher is not None:
        taught = teacher.train(head, examples, extraction.features, class_ids, weights, plan.seed)
        said = taught.record | _not_from_pool(head, f"it learns from {teacher.kind}")
        if isinstance(head, MetaHead):
            said["meta"] = _of_map(head, not_used(f"the head learns from {teacher.kind}"))
        return replace(taught, record=said)
    blank = untrained_copy(head, extraction.features)
    pool = pool if plan.transfer == "feature" else None  # a backbone that is tuned gives it other features
    trained = train_head(
        head, extraction.features, class_ids, class_weight=weights, seed=plan.seed, pool=pool, **fit_options
    )
    out_of_fold, folds, calibrate_by = trained.out_of_fold, trained.n_folds, "auto"
    features = extraction.features
    record: dict[str, Any] = {"asked": plan.transfer, "method": "feature"}
    if plan.transfer == "feature" and learns_from_pool(head):
        record["pool"] = head.pool_
        if head.pool_.get("class_shares") is not None:
            # Offsets of classes, fitted to the labels, would bring the labels' shares back.
            calibrate_by = "temperature"
    if isinstance(head, MetaHead):
        record["meta"] = _of_map(head, head.meta_)
    if plan.transfer != "feature":
        result, record = tune_backbone(
            plan, reading.backbone, head, blank, start, examples, class_ids, classes, extraction.digest,
            twin_numbers(extraction.features), weights, fit_options,
        )  # fmt: skip
        if result is not None and result.out_of_fold is not None:
            out_of_fold, folds, calibrate_by = result.out_of_fold, result.n_folds, "temperature"
            if result.kept:
                features = reading.extract(examples).features
        record |= _not_from_pool(head, "the backbone may be tuned with it")
    return Trained(trained.history, out_of_fold, folds, calibrate_by, features, record)


def _of_map(head: MetaHead, found: dict[str, Any]) -> dict[str, Any]:
    """Returns the record of a map on these labels, with what such maps are worth on the earlier sets."""
    return found if head.on_earlier is None else found | {"on_earlier": head.on_earlier}


def _not_from_pool(head: keras.Model, why: str) -> dict[str, Any]:
    """Returns what a record says of a head that could have learnt from a pool."""
    if not learns_from_pool(head):
        return {}
    return {"pool": linear_record(why)}
