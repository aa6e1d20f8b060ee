"""Ranks sources of features by a few labels: first by nearest class means, then the best few by their heads.

With few labels a cross-validated head is the noisier judge: each fold learns from fewer labels still. Nearest
means without the example itself need no folds. So heads are compared only among sources that nearest means
cannot tell apart. `benchmarks/sources.py` measures the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tfautolabel.heads import build_head
from tfautolabel.measures.transferability import nearest_mean_right
from tfautolabel.training import train_head

STANDARD_ERRORS = 2.0
"""Sources within so many standard errors of the best one, by nearest means, are compared by heads."""


@dataclass(frozen=True)
class Trial:
    """The result of one source on the labelled examples.

    Attributes:
        handle: the source's string.
        nearest_mean: in [0, 1], the share of examples that are nearest to the mean of the others of their
            class.
        accuracy: of the head, cross-validated, in [0, 1]; None if nearest means ruled the source out, or left
            no other.
        log_loss: of the head, the cross-validated mean negative log-probability of the true class, in nats;
            lower is better; None as `accuracy`.
    """

    handle: str
    nearest_mean: float
    accuracy: float | None = None
    log_loss: float | None = None


@dataclass(frozen=True)
class Ranking:
    """Sources in the order of how well they suit the labels.

    Attributes:
        trials: the pretrained sources, the best first.
        without: the result without transfer; None if it was not among the candidates.
    """

    trials: tuple[Trial, ...]
    without: Trial | None = None

    @property
    def better_without(self) -> bool:
        """Whether nearest means are better without transfer than with every pretrained source."""
        if self.without is None:
            return False
        return self.without.nearest_mean > max(trial.nearest_mean for trial in self.trials)

    @property
    def choice(self) -> str:
        """The handle of the best source, with or without transfer."""
        if self.without is not None and self.better_without:
            return self.without.handle
        return self.trials[0].handle

    @property
    def warning(self) -> str | None:
        """Says by how much the labels do better without transfer; None if they do not."""
        if self.without is None or not self.better_without:
            return None
        best = max(self.trials, key=lambda trial: trial.nearest_mean)
        return (
            f"your labels do better without transfer: {self.without.handle} {self.without.nearest_mean:.1%} "
            f"against {best.handle} {best.nearest_mean:.1%} (nearest class means, each without the example)"
        )


def rank_sources(
    features: Mapping[str, np.ndarray], class_ids: np.ndarray, *, without: str | None = None, seed: int = 0
) -> Ranking:
    """Ranks sources by their features of the same labelled examples.

    Args:
        features: handle to (n, d) float32, at least one besides `without`; d may differ.
        class_ids: (n,) int64, two classes at least.
        without: the handle of the features without transfer, if they are among them.
        seed: decides the folds.

    Raises:
        ValueError: As `nearest_mean_right`.
    """
    right = {handle: nearest_mean_right(values, class_ids) for handle, values in features.items()}
    pretrained = {handle: own for handle, own in right.items() if handle != without}
    tried = kept(pretrained)
    trials = [Trial(handle, float(own.mean())) for handle, own in pretrained.items()]
    if len(tried) > 1:
        judged = {handle: held_out(features[handle], class_ids, seed) for handle in tried}
        trials = [
            replace(trial, accuracy=judged[trial.handle][0], log_loss=judged[trial.handle][1])
            if trial.handle in judged
            else trial
            for trial in trials
        ]
    alone = None if without is None else Trial(without, float(right[without].mean()))
    return Ranking(tuple(sorted(trials, key=lambda trial: _place(trial, tried))), alone)


def kept(right: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the sources that are within `STANDARD_ERRORS` of the best, which is the first.

    The errors are those of the difference on the same examples: sources that are wrong about the same ones
    are told apart by few others.

    Args:
        right: handle to (n,) bool, which examples the source has right.
    """
    by_share = sorted(right, key=lambda handle: -right[handle].mean())
    best = right[by_share[0]].astype(float)
    found = []
    for handle in by_share:
        difference = best - right[handle]
        error = difference.std(ddof=1) / np.sqrt(len(best)) if len(best) > 1 else np.inf
        if difference.mean() <= STANDARD_ERRORS * error:
            found.append(handle)
    return found


def held_out(features: np.ndarray, class_ids: np.ndarray, seed: int) -> tuple[float, float]:
    """Returns the cross-validated accuracy and log loss of the default head.

    Args:
        features: (n, d) float32.
        class_ids: (n,) int64.
        seed: decides the folds.

    Returns:
        The accuracy in [0, 1], and the mean negative log-probability of the true class, in nats.
    """
    head = build_head("linear", features.shape[1], int(class_ids.max()) + 1, seed)
    head.compile()
    probabilities = train_head(head, features, class_ids, seed=seed).out_of_fold
    true = probabilities[np.arange(len(class_ids)), class_ids]
    right = probabilities.argmax(axis=1) == class_ids
    return float(right.mean()), float(-np.log(np.maximum(true, 1e-12)).mean())


def _place(trial: Trial, tried: list[str]) -> tuple[bool, float]:
    """Returns a trial's rank: sources that were kept first, by heads; then the others, by nearest means.

    Heads are ranked by the sum of error rate and log loss. With few labels, accuracies are often equal or
    differ by chance, but the probability of the true class still separates candidates. The log loss alone is
    not enough, because a single confident mistake can dominate it.
    """
    if trial.accuracy is None or trial.log_loss is None:
        return trial.handle not in tried, -trial.nearest_mean
    return False, trial.log_loss - trial.accuracy
