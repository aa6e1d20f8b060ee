"""Saves and restores a labeler: backbone, head and settings, so that work can continue."""

from __future__ import annotations

import dataclasses
import json
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._precision import AUTO, FLOAT32
from tfautolabel._scratch import restore
from tfautolabel._version import __version__
from tfautolabel.backbones import Backbone
from tfautolabel.data import Learnt
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.export import RuleGraph
from tfautolabel.features.engines import choose_engine
from tfautolabel.heads.voting import VoteMixing
from tfautolabel.labeler.checks import LanguageWarning
from tfautolabel.labeler.fitted import Fitted
from tfautolabel.labeler.judging import HeldOut
from tfautolabel.labeler.reading import Reading
from tfautolabel.labeler.start import Start
from tfautolabel.labeler.voting import Voting
from tfautolabel.labels import Unreadable
from tfautolabel.measures.shift import Shift
from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.parameters import Snapshot
from tfautolabel.trust import Calibration, Certificate, OodGate
from tfautolabel.trust.reference import Reference

SETTINGS = (
    "seed", "batch_size", "device", "precision", "min_confidence", "transfer", "transfer_settings",
    "time_budget", "descriptions",
)  # fmt: skip
"""Arguments of `Labeler` that are saved without conversion."""

_STATE, _HEAD, _FIRST_WEIGHTS, _BACKBONE, _FIRST_BACKBONE, _GATE, _VOTES, _REFERENCE = (
    "labeler_state.json",
    "head.keras",
    "head_first_weights.npz",
    "backbone",
    "backbone_first_weights.npz",
    "unlike.npz",
    "votes.npz",
    "reference.npz",
)


@dataclass(frozen=True, eq=False)
class Saved:
    """All parts of a labeler that a folder holds.

    Attributes:
        settings: arguments of `Labeler` by name, except backbone, classes, head, cache_dir and progress.
        fitted: the fitted labeler.
        start: the start of the next fit.
        transfer: the record of what was tuned.
        rules: the record of what was learnt from rules; None without rules.
        descriptions: the record of what was learnt from descriptions; None without descriptions.
        unreadable: labelled examples that could not be read.
        fit_options: options of `keras.Model.fit`.
    """

    settings: dict[str, Any]
    fitted: Fitted
    start: Start
    transfer: dict[str, Any]
    rules: dict[str, Any] | None
    descriptions: dict[str, Any] | None
    unreadable: tuple[Unreadable, ...]
    fit_options: dict[str, Any]


def save_labeler(saved: Saved, folder: str | os.PathLike[str]) -> None:
    """Writes a fitted labeler into a folder; see `Labeler.save`."""
    own = (_STATE, _HEAD, _FIRST_WEIGHTS, _BACKBONE, _FIRST_BACKBONE, _GATE, _VOTES, _REFERENCE)
    with atomic_folder(folder, own=own) as new:
        _write(saved, new)


def _write(saved: Saved, folder: Path) -> None:
    fitted, start = saved.fitted, saved.start
    (folder / _BACKBONE).mkdir()
    fitted.reading.backbone.write(folder / _BACKBONE)
    fitted.head.save(folder / _HEAD)
    np.savez(folder / _FIRST_WEIGHTS, *start.head_weights)
    if start.backbone is not None:
        np.savez(folder / _FIRST_BACKBONE, *[value for _, value in start.backbone.pairs])
    gate, certificate, held_out = fitted.gate, fitted.certificate, fitted.held_out
    if gate is not None:
        np.savez(folder / _GATE, **gate.arrays())  # type: ignore[arg-type]
    if fitted.voting is not None:
        np.savez(folder / _VOTES, **fitted.voting.mixing.arrays())  # type: ignore[arg-type]
    if fitted.reference is not None:
        np.savez(folder / _REFERENCE, **fitted.reference.arrays())  # type: ignore[arg-type]
    state = {
        "format_version": 1,
        "tfautolabel": __version__,
        "classes": list(fitted.classes),
        **saved.settings,
        "engine": fitted.reading.engine.to_dict(),
        "transfer_settings": _settings_to_dict(saved.settings["transfer_settings"]),
        "transfer_record": saved.transfer,
        "rules_record": saved.rules,
        "descriptions_record": saved.descriptions,
        "shift": None if fitted.shift is None else fitted.shift.to_dict(),
        "voting": None if fitted.voting is None else fitted.voting.graph.to_dict(),
        "fit_options": saved.fit_options,
        "calibration": fitted.calibration.to_dict(),
        "unlike": None if gate is None else gate.to_dict(),
        "labelled_unlike": held_out.refused.tolist(),
        "certificate": None if certificate is None else certificate.to_dict(),
        "truth": held_out.class_ids.tolist(),
        "cross_validation": fitted.cross_validation,
        "out_of_fold": held_out.probabilities.tolist(),
        "drawn": None if held_out.drawn is None else held_out.drawn.tolist(),
        "unreadable": [list(pair) for pair in saved.unreadable],
        "learnt": sorted(fitted.learnt.hashes),
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


def restore_labeler(folder: str | os.PathLike[str], cache_dir: str | os.PathLike[str] | None) -> Saved:
    """Reads what `save_labeler` wrote; see `Labeler.load`.

    Args:
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
            "read by load_exported"
        )
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    backbone = Backbone.load(folder / _BACKBONE)
    where = _where(backbone, state)
    head = keras.saving.load_model(folder / _HEAD)
    start = Start(head, _arrays(folder / _FIRST_WEIGHTS))
    if (folder / _FIRST_BACKBONE).is_file():
        start.backbone = Snapshot(backbone.network.weights, _arrays(folder / _FIRST_BACKBONE))
    fitted = _fitted(folder, state, Reading(backbone, state["batch_size"], cache_dir, True, **where), head)
    settings = {name: state.get(name) for name in SETTINGS} | where
    settings["transfer_settings"] = _settings_from_dict(settings["transfer_settings"])
    unreadable = tuple(Unreadable(*pair) for pair in state.get("unreadable", state.get("rejected", [])))
    return Saved(
        settings,
        fitted,
        start,
        state["transfer_record"],
        state.get("rules_record"),
        state.get("descriptions_record"),
        unreadable,
        state.get("fit_options", {}),
    )


def _fitted(folder: Path, state: dict[str, Any], reading: Reading, head: keras.Model) -> Fitted:
    """Returns what labels come from, as it was saved."""
    gate = None
    if state["unlike"] is not None:
        gate = OodGate.from_dict(state["unlike"], _arrays_of(folder / _GATE))
    voting, rules = None, state.get("voting")
    if rules is not None:
        mixing = VoteMixing(**_arrays_of(folder / _VOTES), name="vote_mixing")
        voting = Voting(RuleGraph.from_dict(rules), mixing)
    found = state["certificate"]
    held_out = HeldOut(
        np.array(state["out_of_fold"], np.float32).reshape(-1, len(state["classes"])),
        np.array(state["truth"], np.int64),
        np.array(state["labelled_unlike"], bool),
        state["cross_validation"]["folds"],
        None if state.get("drawn") is None else np.array(state["drawn"], bool),
    )
    shift = None if state.get("shift") is None else Shift.from_dict(state["shift"])
    earned = held_out.earns(state["min_confidence"], guarded=gate is not None)
    return Fitted(
        reading,
        head,
        tuple(state["classes"]),
        Calibration.from_dict(state["calibration"]),
        gate,
        earned if shift is None else replace(earned, other_population=shift.other_population),
        held_out,
        Learnt(frozenset(state.get("learnt", []))),
        state["min_confidence"],
        state["seed"],
        LanguageWarning(),
        None if found is None else Certificate.from_dict(found),
        voting,
        shift,
        Reference(**_arrays_of(folder / _REFERENCE)) if (folder / _REFERENCE).is_file() else None,
    )


def _where(backbone: Backbone, state: dict[str, Any]) -> dict[str, str]:
    """Returns device and precision as arguments of `Labeler`: those of the fit, if they can be used here.

    The head was fitted to features of one precision. Features of another one are nearly the same.
    """
    # Labelers of earlier versions knew nothing but float32.
    precision = state.get("engine", {}).get("precision", FLOAT32)
    where = {"device": state.get("device", AUTO), "precision": precision}
    try:
        choose_engine(backbone, **where)
    except ValueError as error:
        where = {"device": "cpu", "precision": FLOAT32}
        lower = "" if precision == FLOAT32 else ", so that its confidences may differ a little"
        warnings.warn(
            f"this labeler was fitted with device={state.get('device', AUTO)} and precision={precision}, "
            f"which cannot be used here; it goes on with the CPU in float32{lower} ({error})",
            stacklevel=4,
        )
    return where


def _arrays_of(file: Path) -> dict[str, np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _arrays(file: Path) -> list[np.ndarray]:
    with np.load(file, allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]
