"""A labeler on disk: backbone, head and settings, so that work can go on from there."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import keras
import numpy as np

from tfautolabel._scratch import restore
from tfautolabel._version import __version__
from tfautolabel.backbones import Backbone
from tfautolabel.data import Learnt
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.labels import Rejected
from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.parameters import Snapshot
from tfautolabel.trust import Calibration, Certificate, UnlikeGate

Kind = TypeVar("Kind")

_STATE, _HEAD, _FIRST_WEIGHTS, _BACKBONE, _FIRST_BACKBONE, _GATE = (
    "labeler_state.json",
    "head.keras",
    "head_first_weights.npz",
    "backbone",
    "backbone_first_weights.npz",
    "unlike.npz",
)


def save_labeler(labeler: Any, folder: str | os.PathLike[str]) -> None:
    """Writes a fitted `Labeler` into a folder; see `Labeler.save`."""
    own = (_STATE, _HEAD, _FIRST_WEIGHTS, _BACKBONE, _FIRST_BACKBONE, _GATE)
    with atomic_folder(folder, own=own) as new:
        _write(labeler, new)


def _write(labeler: Any, folder: Path) -> None:
    (folder / _BACKBONE).mkdir()
    labeler.backbone.write(folder / _BACKBONE)
    labeler.head.save(folder / _HEAD)
    np.savez(folder / _FIRST_WEIGHTS, *[value for _, value in labeler._first_weights])
    first_backbone = labeler._first_backbone
    if first_backbone is not None:
        np.savez(folder / _FIRST_BACKBONE, *[value for _, value in first_backbone.pairs])
    gate, certificate = labeler.unlike_, labeler.certificate_
    if gate is not None:
        np.savez(folder / _GATE, **gate.arrays())
    state = {
        "format_version": 1,
        "tfautolabel": __version__,
        "classes": list(labeler.classes),
        "seed": labeler.seed,
        "batch_size": labeler.batch_size,
        "min_confidence": labeler.min_confidence,
        "transfer": labeler.transfer,
        "transfer_settings": _settings_to_dict(labeler.transfer_settings),
        "transfer_record": labeler.transfer_,
        "time_budget": labeler.time_budget,
        "fit_options": labeler.fit_options,
        "calibration": labeler.calibration_.to_dict(),
        "unlike": None if gate is None else gate.to_dict(),
        "labelled_unlike": labeler._labelled_unlike.tolist(),
        "certificate": None if certificate is None else certificate.to_dict(),
        "truth": labeler.truth_.tolist(),
        "cross_validation": labeler.cross_validation_,
        "out_of_fold": labeler.out_of_fold_.tolist(),
        "rejected": [list(pair) for pair in labeler.rejected_],
        "learnt": sorted(labeler.learnt_.hashes),
    }
    with open(folder / _STATE, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=2)


def _settings_to_dict(
    settings: FineTuneSettings | ContrastiveSettings | None,
) -> dict[str, Any] | None:
    if settings is None:
        return None
    return {"kind": type(settings).__name__, **dataclasses.asdict(settings)}


def _settings_from_dict(state: dict[str, Any] | None) -> FineTuneSettings | ContrastiveSettings | None:
    if state is None:
        return None
    kinds = {kind.__name__: kind for kind in (FineTuneSettings, ContrastiveSettings)}
    return kinds[state["kind"]](**{name: value for name, value in state.items() if name != "kind"})


def restore_labeler(
    kind: Callable[..., Kind], folder: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None
) -> Kind:
    """Reads what `save_labeler` wrote; see `Labeler.load`.

    Args:
        kind: `Labeler` or a class derived from it.
        folder: as given to `save_labeler`.
        cache_dir: where features are kept between runs.

    Raises:
        FileNotFoundError: If there is no saved labeler.
    """
    folder = Path(folder)
    restore(folder)
    if not (folder / _STATE).is_file():
        raise FileNotFoundError(
            f"a saved labeler is a folder with {_STATE}. Received: {folder}; an exported SavedModel is "
            "read by load_labeler"
        )
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    labeler: Any = kind(
        Backbone.load(folder / _BACKBONE),
        state["classes"],
        keras.saving.load_model(folder / _HEAD),
        seed=state["seed"],
        batch_size=state["batch_size"],
        cache_dir=cache_dir,
        min_confidence=state["min_confidence"],
        transfer=state["transfer"],
        transfer_settings=_settings_from_dict(state.get("transfer_settings")),
        time_budget=state["time_budget"],
    )
    labeler.fit_options = state.get("fit_options", {})
    with np.load(folder / _FIRST_WEIGHTS, allow_pickle=False) as first:
        values = [first[name] for name in first.files]
    labeler._first_weights = list(zip(labeler.head.variables, values, strict=False))
    if (folder / _FIRST_BACKBONE).is_file():
        with np.load(folder / _FIRST_BACKBONE, allow_pickle=False) as first:
            values = [first[name] for name in first.files]
        labeler._first_backbone = Snapshot(labeler.backbone.network.weights, values)
    labeler.calibration_ = Calibration.from_dict(state["calibration"])
    if state["unlike"] is not None:
        with np.load(folder / _GATE, allow_pickle=False) as arrays:
            labeler.unlike_ = UnlikeGate.from_dict(state["unlike"], dict(arrays))
    labeler._labelled_unlike = np.array(state["labelled_unlike"], bool)
    if state["certificate"] is not None:
        labeler.certificate_ = Certificate.from_dict(state["certificate"])
    labeler.truth_ = np.array(state["truth"], np.int64)
    labeler.transfer_ = state["transfer_record"]
    labeler.cross_validation_ = state["cross_validation"]
    labeler.out_of_fold_ = np.array(state["out_of_fold"], np.float32)
    labeler.rejected_ = tuple(Rejected(*pair) for pair in state["rejected"])
    labeler.learnt_ = Learnt(frozenset(state.get("learnt", [])))
    labeler._judge()
    labeler._fitted = True
    return labeler
