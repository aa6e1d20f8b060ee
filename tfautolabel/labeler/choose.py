"""Which backbone to take: the one asked for, the modality's own, or the best by cross-validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfautolabel._optional import is_installed
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.packaged import PACKAGED, PackagedBackbone
from tfautolabel.data import Dataset
from tfautolabel.features import extract_features
from tfautolabel.heads import build_head
from tfautolabel.training import train_head

DEFAULT_BACKBONES = {
    "image": "packaged:efficientnet-lite0",
    "text": "packaged:minilm-l6",
    "audio": "packaged:speech-embedding",
}
"""Which backbone is taken for data of a modality when none is asked for."""

SPEEDS = ("fast", "medium", "slow")


@dataclass(frozen=True)
class Trial:
    """How one candidate did on the labelled examples.

    Attributes:
        handle: the backbone's string.
        accuracy: cross-validated, in [0, 1].
        log_loss: cross-validated mean negative log-probability of the true class, in nats; lower is better.
        log_loss_error: the standard error of its difference to the best candidate's.
        speed: "fast", "medium" or "slow" beside the others.
    """

    handle: str
    accuracy: float
    log_loss: float
    log_loss_error: float
    speed: str


def select_backbone(
    handle: str | None,
    examples: Dataset,
    *,
    long_text: str = "truncate",
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Backbone, list[dict[str, Any]] | None]:
    """Loads the backbone that a user asked for, or chooses one.

    Args:
        handle: a string for `load_backbone`; "auto" to try every packaged backbone of the modality that can
            be had; None for the modality's own.
        examples: the labelled examples.
        long_text: "truncate" or "average", for texts.
        seed: decides the folds.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: told what was chosen and why.

    Returns:
        The backbone, and if there was a choice, the trials, the best first.

    Raises:
        ValueError: As `load_backbone`, or if "auto" finds no candidate.
    """
    modality = examples.modality
    options = {"long_text": long_text} if modality == "text" else {}
    if handle != "auto":
        return load_backbone(handle or DEFAULT_BACKBONES[modality], **options), None
    candidates = [entry for entry in PACKAGED.values() if entry.modality == modality]
    backbones, scores = {}, {}
    for entry in candidates:
        backbone = _load(entry, options, say)
        if backbone is None:
            continue
        extraction = extract_features(
            examples, backbone, batch_size=batch_size, cache_dir=cache_dir, progress=progress
        )
        backbones[backbone.handle] = backbone
        scores[backbone.handle] = _out_of_fold(extraction.features, examples.class_ids[extraction.rows], seed)
    if not scores:
        raise ValueError(
            f"backbone='auto' needs a packaged backbone for {modality} data that can be loaded. "
            f"Received: none of {', '.join(entry.name for entry in candidates)}"
        )
    trials = rank_trials(scores)
    say(_explained(trials))
    return backbones[trials[0].handle], [asdict(trial) for trial in trials]


def rank_trials(scores: dict[str, np.ndarray]) -> list[Trial]:
    """Ranks candidates by what their heads say of examples that they have not seen.

    The probability of the true class tells more than whether it is the largest: with few labels, accuracies
    are equal or differ by chance where log losses do not. Among candidates whose log loss is within one
    standard error of the best one's (Breiman et al. 1984, section 3.4.3), the fastest comes first.

    Args:
        scores: handle to (n, 2): each example's probability of its true class, and whether that was the
            largest.

    Returns:
        The trials, the chosen one first.
    """
    losses = {handle: -np.log(np.maximum(score[:, 0], 1e-12)) for handle, score in scores.items()}
    best = min(losses, key=lambda handle: float(losses[handle].mean()))
    trials = []
    for handle, loss in losses.items():
        difference = loss - losses[best]
        error = float(difference.std(ddof=1) / np.sqrt(len(loss))) if len(loss) > 1 else 0.0
        name = handle.removeprefix("packaged:")
        speed = PACKAGED[name].speed if name in PACKAGED else SPEEDS[-1]
        trials.append(Trial(handle, float(scores[handle][:, 1].mean()), float(loss.mean()), error, speed))
    lowest = min(trial.log_loss for trial in trials)

    def order(trial: Trial) -> tuple[bool, int, float]:
        beside = trial.log_loss - lowest <= trial.log_loss_error
        return (not beside, SPEEDS.index(trial.speed) if beside else 0, trial.log_loss)

    return sorted(trials, key=order)


def _load(entry: PackagedBackbone, options: dict[str, str], say: Callable[[str], None]) -> Backbone | None:
    if entry.extra is not None and not is_installed(entry.extra):
        say(f'packaged:{entry.name} was not tried: it needs pip install "tfautolabel[{entry.extra}]"')
        return None
    try:
        return load_backbone(f"packaged:{entry.name}", **options)
    except (FileNotFoundError, RuntimeError) as error:
        say(f"packaged:{entry.name} was not tried: {error}")
        return None


def _out_of_fold(features: np.ndarray, class_ids: np.ndarray, seed: int) -> np.ndarray:
    """(n, 2): the probability of each example's true class, and whether it is the largest."""
    head = build_head("linear", features.shape[1], int(class_ids.max()) + 1, seed)
    head.compile()
    probabilities = train_head(head, features, class_ids, seed=seed).out_of_fold
    true = probabilities[np.arange(len(class_ids)), class_ids]
    return np.stack([true, probabilities.argmax(axis=1) == class_ids], axis=1)


def _explained(trials: list[Trial]) -> str:
    best, *others = trials
    tried = "; ".join(
        f"{trial.handle} accuracy {trial.accuracy:.1%}, log loss {trial.log_loss:.3f}" for trial in trials
    )
    closest = any(trial.log_loss < best.log_loss for trial in others)
    why = "the fastest of those within one standard error of the best" if closest else "the lowest log loss"
    return f"backbone chosen on the labelled examples: {best.handle} ({why}). Tried: {tried}"
