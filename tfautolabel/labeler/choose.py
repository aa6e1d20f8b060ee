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


@dataclass(frozen=True)
class Trial:
    """How one candidate did on the labelled examples.

    Attributes:
        handle: the backbone's string.
        accuracy: cross-validated, in [0, 1].
        log_loss: cross-validated mean negative log-probability of the true class, in nats; lower is better.
    """

    handle: str
    accuracy: float
    log_loss: float


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

    By the sum of their error rate and their log loss. With few labels accuracies are often equal or differ by
    chance, where the probability of the true class still tells candidates apart; but a single example that is
    surely taken for another class can decide a log loss. `benchmarks/few_labels.py` measures the choice.

    Args:
        scores: handle to (n, 2): each example's probability of its true class, and whether that was the
            largest.

    Returns:
        The trials, the chosen one first.
    """
    trials = []
    for handle, score in scores.items():
        loss = float(-np.log(np.maximum(score[:, 0], 1e-12)).mean())
        trials.append(Trial(handle, float(score[:, 1].mean()), loss))
    return sorted(trials, key=lambda trial: trial.log_loss - trial.accuracy)


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
    tried = "; ".join(
        f"{trial.handle} accuracy {trial.accuracy:.1%}, log loss {trial.log_loss:.3f}" for trial in trials
    )
    return f"backbone chosen on the labelled examples: {trials[0].handle}. Tried: {tried}"
