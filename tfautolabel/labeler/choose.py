"""Chooses the backbone: the one asked for, the modality's default, or the best by the labelled examples."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from tfautolabel._cache import offline
from tfautolabel._optional import is_installed
from tfautolabel._precision import AUTO
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.backbones.packaged import PACKAGED, PackagedBackbone
from tfautolabel.backbones.plain import plain_of
from tfautolabel.data import Dataset
from tfautolabel.labeler.candidate_features import CandidateFeatures, candidate_features, check_modality
from tfautolabel.labeler.source_ranking import Trial, rank_sources

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


def select_backbone(
    handle: str | None,
    examples: Dataset,
    *,
    pool_size: int = 0,
    long_text: str = "truncate",
    take_plain: bool = True,
    seed: int = 0,
    batch_size: int = 32,
    device: str = AUTO,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Backbone, list[dict[str, Any]] | None]:
    """Loads the backbone that a user asked for, or chooses one.

    Args:
        handle: a string for `load_backbone`; "auto" to try every available packaged backbone of the modality
            and the features without transfer; None to try those of `tried_by_default`, which may be only the
            modality's default one.
        examples: the labelled examples.
        pool_size: how many there are to label.
        long_text: "truncate" or "average", for texts.
        take_plain: whether "auto" may take features without transfer; else it only tells that they are
            better, for example where a backbone is to be tuned.
        seed: determines the folds.
        batch_size: examples in one forward pass.
        device: "cpu" to leave a GPU alone while candidates are tried.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: called with a sentence about what was chosen and why.

    Returns:
        The backbone, and the trials, best first; None instead of trials if there was no choice.

    Raises:
        ValueError: As `load_backbone`, or if "auto" finds no candidate.
    """
    modality = examples.modality
    options = options_for(modality, long_text)
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
            check_modality(handle, entry.modality, modality)
        chosen = load_backbone(handle, **options)
        check_modality(handle, chosen.modality, modality)
        return chosen, None
    handles = [*(f"packaged:{entry.name}" for entry in candidates), plain_of(modality)]
    found = candidate_features(
        handles, examples, options, batch_size=batch_size, device=device, cache_dir=cache_dir,
        progress=progress, say=say,
    )  # fmt: skip
    pretrained = [name for name in found.backbones if name != plain_of(modality)]
    if pretrained and len(np.unique(found.class_ids)) > 1:
        return _chosen(found, plain_of(modality), take_plain and not hint, hint, seed, say)
    # Almost nothing can be read, or loaded. The code that learns from it reports the first.
    if hint:
        return load_backbone(own, **options), None
    raise ValueError(
        f"backbone='auto' needs a packaged backbone for {modality} data that can be loaded, and labelled "
        f"examples of two classes that can be read. Received: {', '.join(pretrained) or 'no such backbone'}, "
        f"and {len(found.class_ids):,} examples"
    )


def _chosen(
    found: CandidateFeatures, plain: str, take_plain: bool, hint: str, seed: int, say: Callable[[str], None]
) -> tuple[Backbone, list[dict[str, Any]]]:
    """Returns the best candidate, and the trials, best first.

    Args:
        found: candidates with their features.
        plain: the handle of those without transfer.
        take_plain: whether they may be taken; else they are offered.
        hint: how to take the modality's own backbone untried; "" if the user asked for the choice.
        seed: decides the folds.
        say: is called with the choice.
    """
    ranking = rank_sources(found.features, found.class_ids, without=plain, seed=seed)
    trials = list(ranking.trials)
    if not take_plain:
        trials.sort(key=lambda trial: trial.handle == plain)
    best = trials[0].handle
    say(f"backbone chosen on the labelled examples: {best}. {_explained(trials)}{hint}")
    if ranking.warning is not None:
        other = ranking.pretrained[0].handle if take_plain else plain
        say(f"{ranking.warning}. --backbone {other} takes {'the pretrained' if take_plain else 'that'} one")
    return found.backbones[best], [asdict(trial) for trial in trials]


def options_for(modality: str, long_text: str) -> dict[str, str]:
    """Returns the options of a backbone, none with its default value: not every backbone accepts it."""
    return {"long_text": long_text} if modality == "text" and long_text != "truncate" else {}


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


def _at_hand(entry: PackagedBackbone) -> bool:
    if entry.extra is not None and not is_installed(entry.extra):
        return False
    return entry.is_cached() or (entry.download_mb <= SMALL_MB and not offline())


def _explained(trials: list[Trial]) -> str:
    told = []
    for trial in trials:
        told.append(f"{trial.handle} {trial.nearest_mean:.1%}")
        if trial.accuracy is not None and trial.log_loss is not None:
            told[-1] += f" (head: accuracy {trial.accuracy:.1%}, log loss {trial.log_loss:.3f})"
    return f"Right by nearest class means: {'; '.join(told)}"
