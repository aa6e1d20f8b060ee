"""Exports a fitted labeler as a SavedModel."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._precision import FLOAT32
from tfautolabel._progress import working
from tfautolabel.data import Dataset
from tfautolabel.export import CheckFailure, RuleGraph, export_saved_model
from tfautolabel.features import extract_features
from tfautolabel.features.engines import ENGINES, EngineChoice
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
        CheckFailure: If the SavedModel does not give the same as this labeler, up to the labeler's precision.
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
    backbone, engine = fitted.reading.backbone, fitted.reading.engine

    model = replace(fitted, reading=replace(fitted.reading, device="cpu", precision=FLOAT32))

    def predict(encoded: list[bytes], by: Fitted = model) -> np.ndarray:
        examples = Dataset.from_inputs(encoded, modality=backbone.modality)
        reading = by.reading
        extraction = extract_features(
            examples, backbone, use_cache=False, progress=False, device=reading.device,
            precision=reading.precision,
        )  # fmt: skip
        whole = np.zeros((len(encoded), len(by.classes)), np.float32)
        whole[extraction.rows] = by.probabilities(examples, extraction)[1]
        return whole

    difference = 0.0
    if engine.name != "cpu":
        encoded = backbone.preprocessor.recorded_examples()
        difference = check_difference(engine, predict(encoded), predict(encoded, fitted))
    known = {
        "engine": engine.to_dict() | {"difference_to_model": difference},
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
            known | (details or {}), overwrite, rules, voting is not None, fitted.reference,
        )  # fmt: skip


def check_difference(engine: EngineChoice, right: np.ndarray, found: np.ndarray) -> float:
    """Returns the greatest difference between probabilities of an engine and of a model in float32.

    Args:
        engine: what computed the features.
        right: (n, k), of the recorded examples in float32.
        found: (n, k), of the same by the engine.

    Raises:
        CheckFailure: If it is greater than the precision explains.
    """
    difference = float(np.abs(right - found).max(initial=0.0))
    most = ENGINES[engine.name].most_difference[engine.precision]
    if not difference <= most:
        raise CheckFailure(
            f"a model computes in float32 and must give what this labeler gives in {engine.precision}: "
            f"probabilities of recorded examples differ by {difference:.2g}, at most {most:g} is allowed; "
            "fit again with precision='float32' (--precision float32)"
        )
    return difference
