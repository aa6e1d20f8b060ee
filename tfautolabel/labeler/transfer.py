"""Decides which parameters of a backbone a labeler trains: the method, the time limit, the start."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._cache import cache_dir as default_cache_dir
from tfautolabel._durations import seconds_of
from tfautolabel._progress import progress_of
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.labeler.start import Start
from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.backbone_training import default_scope
from tfautolabel.training.checkpoints import sweep_checkpoints
from tfautolabel.training.do_no_harm import METHODS, TransferResult, compare_and_keep
from tfautolabel.training.parameters import NothingMovesError, Snapshot, select_parameters

TRANSFERS = ("feature", *METHODS, "auto")
"""What may learn: only the head; part of the backbone too; or what the labels and the time allow."""

AUTO_SECONDS = 600.0
"""The time limit of "auto" if the user gives none."""

N_FOLDS = 3

FEW = 20
"""With fewer labels in a class, a backbone for pictures or sounds stays unchanged."""


def check_transfer(transfer: str, settings: Any = None, time_budget: str | float | None = None) -> None:
    """Checks that `transfer` is one of `TRANSFERS`, that the settings belong to it, and the time budget.

    Raises:
        ValueError: If an argument is not valid.
    """
    if transfer not in TRANSFERS:
        raise ValueError(f"transfer must be one of {', '.join(TRANSFERS)}. Received: transfer={transfer!r}")
    seconds_of(time_budget)
    if settings is not None and (transfer not in METHODS or not isinstance(settings, METHODS[transfer][1])):
        kinds = ", ".join(f"{kind.__name__} for {name!r}" for name, (_, kind) in METHODS.items())
        raise ValueError(
            f"transfer_settings are {kinds}. Received: {type(settings).__name__} for {transfer!r}"
        )


def check_trainable(
    transfer: str, backbone: Backbone, settings: FineTuneSettings | ContrastiveSettings | None = None
) -> None:
    """Checks that a backbone has parameters to train if `transfer` requires some.

    If the settings name a scope, the error of `select_parameters` is about this scope.

    Raises:
        ValueError: If it has none.
    """
    if transfer not in METHODS or (settings is not None and settings.scope != "auto"):
        return
    try:
        select_parameters(backbone.network, default_scope(backbone))
    except NothingMovesError as error:
        raise ValueError(
            f"transfer must be 'feature' or 'auto' with a backbone that {_why_not(error)}. Received: "
            f"transfer={transfer!r} with {backbone.handle}"
        ) from error


def _why_not(error: NothingMovesError) -> str:
    return "is for inference only" if error.inference_only else "has no parameters to train"


def choose_method(
    transfer: str, modality: str, class_ids: np.ndarray, classes: Sequence[str]
) -> tuple[str | None, str]:
    """Returns the method that "auto" tries, and why.

    Args:
        transfer: one of `TRANSFERS` except "feature".
        modality: the modality of the examples.
        class_ids: (n,) int64 in [0, k), of the labelled examples.
        classes: k names.

    Returns:
        A key of `METHODS`, or None to leave the backbone unchanged; and a sentence with the reason.
    """
    if transfer != "auto":
        return transfer, f"transfer={transfer!r} was asked for"
    counts = np.bincount(class_ids, minlength=len(classes))
    fewest = int(counts.min())
    if fewest < 2 * N_FOLDS:
        return None, f"a class has {fewest} labels, too few to find out whether tuning helps"
    if modality == "text":
        return "contrastive", f"texts with {len(class_ids):,} labels are tuned by contrast"
    if fewest < FEW:
        return None, f"a class has {fewest} labels; from {FEW} on the backbone is tuned too"
    return "model", f"with {fewest} labels and more in a class the backbone is tuned"


@dataclass(frozen=True)
class Plan:
    """What a labeler should train.

    Attributes:
        transfer: one of `TRANSFERS` except "feature".
        settings: the settings of the method; None for its defaults.
        time_budget: as for `seconds_of`.
        seed: determines folds, views and batches.
        cache_dir: where states of an interrupted training are kept; the package's cache by default.
        progress: shows a bar where standard error is a terminal.
    """

    transfer: str
    settings: FineTuneSettings | ContrastiveSettings | None
    time_budget: str | float | None
    seed: int
    cache_dir: str | os.PathLike[str] | None
    progress: bool


def tune_backbone(
    plan: Plan,
    backbone: Backbone,
    head: keras.Model,
    blank: keras.Model,
    start: Start,
    examples: Dataset,
    class_ids: np.ndarray,
    classes: Sequence[str],
    digest: str,
    groups: np.ndarray,
    class_weight: dict[int, float] | None,
    head_options: dict[str, Any],
) -> tuple[TransferResult | None, dict[str, Any]]:
    """Tunes a backbone if the plan, the labels and the time allow it.

    Args:
        plan: what to train.
        backbone: changed in place if that helps.
        head: gets the weights that belong to the backbone if the backbone was tuned.
        blank: a head of the same kind that has seen none of the examples; trained instead of `head`.
        start: keeps the weights of a tuned backbone from before the tuning.
        examples: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        classes: k names.
        digest: a digest of the examples' contents.
        groups: (n,) int64, equal for examples with equal contents.
        class_weight: class id to weight.
        head_options: options of `keras.Model.fit`, for a head that is trained step by step.

    Returns:
        The result of tuning, None if none was tried; and its entries for a record.

    Raises:
        ValueError: If a tuning that was asked for is not possible with this backbone.
    """
    check_trainable(plan.transfer, backbone, plan.settings)
    method, why = choose_method(plan.transfer, examples.modality, class_ids, classes)
    record: dict[str, Any] = {"asked": plan.transfer, "method": "feature", "why": why}
    if method is None:
        return None, record
    budget = seconds_of(plan.time_budget)
    if budget is None and plan.transfer == "auto":
        budget = AUTO_SECONDS
    begin, before = time.monotonic(), Snapshot(backbone.network.weights)
    options = {key: value for key, value in head_options.items() if key != "callbacks"}
    settings = plan.settings or METHODS[method][1]()
    with progress_of(N_FOLDS + 1, f"tuning ({method})", plan.progress) as advance:
        try:
            result = compare_and_keep(
                method,
                backbone,
                blank,
                examples,
                class_ids,
                settings=settings,
                demand="better" if plan.transfer == "auto" else "not worse",
                class_weight=class_weight,
                n_folds=N_FOLDS,
                seed=plan.seed,
                groups=groups,
                until=None if budget is None else begin + budget,
                checkpoints=_checkpoints(plan, backbone, head, method, settings, class_ids, digest),
                head_options=options,
                advance=advance,
            )
        except NothingMovesError as error:
            # "auto" requires no tuning: a backbone without parameters that can move stays unchanged.
            if plan.transfer != "auto":
                raise
            return None, record | {
                "why": f"the backbone was left as it was, because {backbone.handle} {_why_not(error)}"
            }
    if result.kept:
        start.backbone = before
        head.set_weights(blank.get_weights())
    kept = {"method": method} if result.kept else {"tried": method}
    verb = "tuned" if result.kept else "left as it was"
    told = f"the backbone was {verb}, because {result.reason} ({why})"
    return result, record | kept | result.to_dict() | {
        "why": told,
        "settings": asdict(settings),
        "seconds": round(time.monotonic() - begin, 1),
    }


def copy_parameters(target: Backbone, source: Backbone, scope: str) -> int:
    """Copies part of one backbone's parameters into another of the same architecture.

    Args:
        target: changed in place.
        source: only read.
        scope: as in `select_parameters`; "all" also copies statistics.

    Returns:
        How many arrays were copied.

    Raises:
        ValueError: If the architectures differ or the scope selects nothing.
    """
    theirs, own = source.network.weights, target.network.weights
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (theirs, own)]
    if source.architecture != target.architecture or shapes[0] != shapes[1]:
        raise ValueError(
            "parameters are copied between backbones of one architecture. Received: "
            f"{source.handle} for {target.handle}"
        )
    chosen = select_parameters(target.network, scope)
    pairs = [
        (mine, other) for mine, other in zip(own, theirs, strict=True) if scope == "all" or id(mine) in chosen
    ]
    if not pairs:
        raise ValueError(f"scope must select parameters to copy. Received: scope={scope!r}")
    for mine, other in pairs:
        mine.assign(other.numpy())
    return len(pairs)


def _checkpoints(
    plan: Plan,
    backbone: Backbone,
    head: keras.Model,
    method: str,
    settings: Any,
    class_ids: np.ndarray,
    digest: str,
) -> Path:
    """Returns the folder for exactly this training: the same labels, settings and weights."""
    described = {
        "method": method,
        "settings": asdict(settings),
        "backbone": backbone.fingerprint,
        "head": [head.name, head.count_params()],
        "examples": digest,
        "class_ids": hashlib.sha256(np.ascontiguousarray(class_ids).tobytes()).hexdigest(),
        "seed": plan.seed,
    }
    key = hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:32]
    folder = default_cache_dir() if plan.cache_dir is None else Path(plan.cache_dir)
    sweep_checkpoints(folder / "tuning")
    return folder / "tuning" / key
