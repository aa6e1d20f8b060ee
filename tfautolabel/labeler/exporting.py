"""Exports a fitted labeler as a SavedModel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._progress import working
from tfautolabel.data import Dataset
from tfautolabel.export import RuleGraph, export_saved_model
from tfautolabel.features import extract_features
from tfautolabel.labeler.fitted import Fitted


def export_fitted(
    fitted: Fitted,
    folder: str | os.PathLike[str],
    overwrite: bool,
    details: dict[str, Any] | None,
    rules: RuleGraph | None,
    transfer: dict[str, Any],
) -> Path:
    """Writes a fitted labeler as a SavedModel and checks its results; see `Labeler.export`.

    Args:
        fitted: the labeler.
        folder: as `export_saved_model` takes it.
        overwrite: whether an existing version is replaced.
        details: further entries for its labeler.json.
        rules: vote in the model too; by default those on whose votes labels depend, if there are some.
        transfer: the record of what was tuned.

    Returns:
        The version folder.

    Raises:
        ValueError: If labels depend on the votes of other rules, or the rules are for other classes.
    """
    voting = fitted.voting
    if voting is not None:
        rules = voting.graph if rules is None else rules
        if rules.rules != voting.graph.rules:
            raise ValueError(
                f"labels depend on the votes of the rules {list(voting.graph.names)}: leave out rules=, or "
                f"give the same. Received: {list(rules.names)}"
            )
    if rules is not None:
        rules.check_classes(fitted.classes)
    backbone = fitted.reading.backbone

    def predict(encoded: list[bytes]) -> np.ndarray:
        examples = Dataset.from_inputs(encoded, modality=backbone.modality)
        extraction = extract_features(examples, backbone, use_cache=False, progress=False)
        whole = np.zeros((len(encoded), len(fitted.classes)), np.float32)
        whole[extraction.rows] = fitted.probabilities(examples, extraction)[1]
        return whole

    known = {
        "transfer": transfer,
        "head": fitted.head.name,
        "cross_validation": fitted.cross_validation,
        "calibration": fitted.calibration.to_dict(),
        "certificate": None if fitted.certificate is None else fitted.certificate.to_dict(),
        "min_confidence": float(fitted.min_confidence),
    }
    with working("exporting the model and checking it", fitted.reading.progress):
        return export_saved_model(
            folder, backbone, fitted.served_head, fitted.classes, fitted.acceptance, fitted.gate, predict,
            known | (details or {}), overwrite, rules, voting is not None,
        )  # fmt: skip
