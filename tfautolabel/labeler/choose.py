"""Which backbone to take: the one asked for, the modality's own, or the best by cross-validation."""

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
"""The modality's own, which is taken where none is asked for and there is nothing to choose from."""

SMALL_MB = 20
"""Weights up to this size are fetched to be tried where nobody asked for them."""

ALWAYS = ("audio",)
"""Modalities of which the backbones do such different things, what is said and who speaks, that the choice is
always worth its time."""

SHARE = 0.2
"""Of the time of a run that trying other backbones may take where nobody asked for that."""

COST = {"efficientnet-lite2": 2.2, "use-multilingual-v3": 0.1, "e5-small": 2.4}
"""What an example takes, as a multiple of what it takes with the modality's own backbone: for pictures by
their multiplications, for texts of twenty words measured."""

START = {"image": 1500, "text": 2500}
"""What it takes to build a backbone and to begin with it, in examples of the modality's own backbone."""


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
        handle: a string for `load_backbone`; "auto" to try every packaged backbone of the modality that can
            be had; None to try those of `tried_by_default`, which may be the modality's own alone.
        examples: the labelled examples.
        pool_size: how many there are to label.
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
    # What every backbone does by default is no option: one for pictures would be refused for having none.
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
            continue  # next to nothing can be read, which whoever learns from it says
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
    """The packaged backbones that are tried where nobody named one.

    The modality's own, and others that are in the cache or small, whose packages are installed, and, but for
    sound, as many as take at most a fifth of the time of the run. That is counted in examples and not
    measured, so that the same run makes the same choice on a busy machine.

    Args:
        modality: of the data.
        n_examples: labelled examples, each of which every candidate has to see.
        pool_size: examples to label, which the chosen one has to see.

    Returns:
        The own one first, then the others, the quickest first.
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
