"""Chooses the backbone: the one asked for, the modality's default, or the best by cross-validation."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfautolabel._cache import offline
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
"""The default backbone of each modality, used if none is asked for and there is no other candidate."""

SMALL_MB = 20
"""Weights up to this size are fetched for a trial even if nobody asked for the backbone."""

ALWAYS = ("audio",)
"""Modalities whose backbones are so different (what is said, who speaks) that the choice is always worth its
time."""

SHARE = 0.2
"""The share of a run's time that trials of other backbones may take if nobody asked for them."""

COST = {"efficientnet-lite2": 2.2, "use-multilingual-v3": 0.1, "e5-small": 2.4}
"""The time per example, relative to the modality's default backbone: for pictures from the number of
multiplications, for texts measured with twenty words."""

START = {"image": 1500, "text": 2500}
"""The time to build and start a backbone, in examples of the modality's default backbone."""


@dataclass(frozen=True)
class Trial:
    """The result of one candidate on the labelled examples.

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
    pool_size: int = 0,
    long_text: str = "truncate",
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Backbone, list[dict[str, Any]] | None]:
    """Loads the backbone that a user asked for, or chooses one.

    Args:
        handle: a string for `load_backbone`; "auto" to try every available packaged backbone of the modality;
            None to try those of `tried_by_default`, which may be only the modality's default one.
        examples: the labelled examples.
        pool_size: how many there are to label.
        long_text: "truncate" or "average", for texts.
        seed: determines the folds.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: called with a sentence about what was chosen and why.

    Returns:
        The backbone, and the trials, best first; None instead of trials if there was no choice.

    Raises:
        ValueError: As `load_backbone`, or if "auto" finds no candidate.
    """
    modality = examples.modality
    # Passes no option with its default value: a backbone for pictures accepts no such option.
    options = {"long_text": long_text} if modality == "text" and long_text != "truncate" else {}
    candidates = [entry for entry in PACKAGED.values() if entry.modality == modality]
    own, hint = DEFAULT_BACKBONES[modality], ""
    if handle is None:
        candidates = tried_by_default(modality, len(examples), pool_size)
        handle, hint = (
            ("auto", f". --backbone {own} takes that one untried") if len(candidates) > 1 else (own, "")
        )
    if handle != "auto":
        entry = PACKAGED.get(handle.removeprefix("packaged:"))
        if entry is not None:  # before anything is fetched
            _check_modality(handle, entry.modality, modality)
        chosen = load_backbone(handle, **options)
        _check_modality(handle, chosen.modality, modality)
        return chosen, None
    backbones, scores = {}, {}
    for entry in candidates:
        backbone = _load(entry, options, say)
        if backbone is None:
            continue
        extraction = extract_features(
            examples, backbone, batch_size=batch_size, cache_dir=cache_dir, progress=progress
        )
        class_ids = examples.class_ids[extraction.rows]
        if len(np.unique(class_ids)) < 2:
            continue  # almost nothing can be read; the code that learns from it reports this
        backbones[backbone.handle] = backbone
        scores[backbone.handle] = _out_of_fold(extraction.features, class_ids, seed)
    if not scores and hint:
        return load_backbone(own, **options), None
    if not scores:
        raise ValueError(
            f"backbone='auto' needs a packaged backbone for {modality} data that can be loaded. "
            f"Received: none of {', '.join(entry.name for entry in candidates)}"
        )
    trials = rank_trials(scores)
    say(_explained(trials) + hint)
    return backbones[trials[0].handle], [asdict(trial) for trial in trials]


def tried_by_default(modality: str, n_examples: int, pool_size: int) -> list[PackagedBackbone]:
    """Returns the packaged backbones that are tried if nobody named one.

    These are the modality's default, and others that are in the cache or small and whose packages are
    installed. Except for sound, the trials may take at most a fifth of the run's time. This time is counted
    in examples and not measured, so that the same run makes the same choice on a busy machine.

    Args:
        modality: the modality of the data.
        n_examples: how many labelled examples there are; every candidate processes all of them.
        pool_size: how many examples there are to label; only the chosen backbone processes them.

    Returns:
        The default one first, then the others, fastest first.
    """
    own = PACKAGED[DEFAULT_BACKBONES[modality].partition(":")[2]]
    others = [
        entry
        for entry in PACKAGED.values()
        if entry.modality == modality and entry is not own and _at_hand(entry)
    ]
    left = np.inf if modality in ALWAYS else SHARE * (START[modality] + n_examples + pool_size)
    tried = [own]
    for entry in sorted(others, key=lambda entry: COST.get(entry.name, 1.0)):
        left -= START.get(modality, 0) + COST.get(entry.name, 1.0) * n_examples
        if left >= 0:
            tried.append(entry)
    return tried


def _check_modality(handle: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise ValueError(
            f"backbone must be one for {wanted} data. Received: {handle}, which is for {found} data; what "
            "the data are is said by modality=… (--modality)"
        )


def _at_hand(entry: PackagedBackbone) -> bool:
    if entry.extra is not None and not is_installed(entry.extra):
        return False
    return entry.is_cached() or (entry.download_mb <= SMALL_MB and not offline())


def rank_trials(scores: dict[str, np.ndarray]) -> list[Trial]:
    """Ranks candidates by the predictions of their heads for examples that the heads have not seen.

    The rank is by the sum of error rate and log loss. With few labels, accuracies are often equal or differ
    by chance, but the probability of the true class still separates candidates. The log loss alone is not
    enough, because a single confident mistake can dominate it. `benchmarks/few_labels.py` measures the
    choice.

    Args:
        scores: handle to (n, 2): the probability of each example's true class, and whether it was the
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
    """Returns (n, 2): the probability of each example's true class, and whether it is the largest."""
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
