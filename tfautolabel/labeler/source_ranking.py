"""Ranks sources of features by a few labels: first by nearest class means, then the best few by their heads.

Nearest means without the example itself need no folds, so that with few labels they are the surer judge. But
they miss classes of several parts, which a head tells apart. So heads are compared among the sources that are
within one standard error of the best. Features without transfer are a candidate like any other.
`benchmarks/sources.py` measures the choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tfautolabel.heads import build_head
from tfautolabel.heads.normalization import SMALL, SQUARE_ROOT
from tfautolabel.measures.transferability import nearest_mean_right
from tfautolabel.training import train_head

STANDARD_ERRORS = 1.0
"""Sources within so many standard errors of the best one, by nearest means, are compared by heads."""

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Trial:
    """The result of one source on the labelled examples.

    Attributes:
        handle: the source's string.
        nearest_mean: in [0, 1], the share of examples that are nearest to the mean of the others of their
            class, with features scaled as the default head scales them.
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
        trials: the best first.
        without: the handle of the features without transfer; None if they were not among the candidates.
    """

    trials: tuple[Trial, ...]
    without: str | None = None

    @property
    def choice(self) -> str:
        """The handle of the best source, with or without transfer."""
        return self.trials[0].handle

    @property
    def pretrained(self) -> tuple[Trial, ...]:
        """The trials of the pretrained sources, the best first."""
        return tuple(trial for trial in self.trials if trial.handle != self.without)

    @property
    def warning(self) -> str | None:
        """Says by how much the labels do better without transfer; None if they do not."""
        if self.choice != self.without or not self.pretrained:
            return None
        plain, other = self.trials[0], self.pretrained[0]
        if plain.accuracy is not None and other.accuracy is not None and plain.accuracy > other.accuracy:
            shares, measured = (plain.accuracy, other.accuracy), "right by cross-validated heads"
        else:
            shares, measured = (plain.nearest_mean, other.nearest_mean), "right by nearest class means"
        return (
            f"your labels do better without transfer: {plain.handle} {shares[0]:.1%} against {other.handle} "
            f"{shares[1]:.1%} {measured}"
        )


def rank_sources(
    features: Mapping[str, np.ndarray], class_ids: np.ndarray, *, without: str | None = None, seed: int = 0
) -> Ranking:
    """Ranks sources by their features of the same labelled examples.

    Args:
        features: handle to (n, d) float32, at least one; d may differ.
        class_ids: (n,) int64, two classes at least.
        without: the handle of the features without transfer, if they are among them.
        seed: decides the folds.

    Raises:
        ValueError: As `nearest_mean_right`.
    """
    right = {handle: nearest_mean_right(scaled(values), class_ids) for handle, values in features.items()}
    tried = kept(right)
    judged = {handle: held_out(features[handle], class_ids, seed) for handle in tried if len(tried) > 1}
    trials = [
        Trial(handle, float(own.mean()), *judged.get(handle, (None, None))) for handle, own in right.items()
    ]
    trials.sort(key=lambda trial: _place(trial, tried))
    first = next((trial for trial in trials if trial.handle != without), trials[0])
    if trials[0].handle == without and not _more_right(trials[0], first):
        trials.remove(first)
        trials.insert(0, first)
    return Ranking(tuple(trials), without)


def scaled(features: np.ndarray) -> np.ndarray:
    """Returns (n, d) float32 features as the default head scales them, see `PowerNormalization`.

    It uses NumPy alone: the layer would take longer than the ranking.
    """
    raised = features
    if features.min() >= 0.0:
        raised = np.power(features + SMALL, SQUARE_ROOT)
    lengths = np.linalg.norm(raised, axis=1, keepdims=True)
    return np.asarray(raised / np.maximum(lengths, SMALL))


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
        # A single example is exactly one standard error; rounding must not decide.
        if difference.mean() <= STANDARD_ERRORS * error + _ROUNDING:
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


def _more_right(plain: Trial, other: Trial) -> bool:
    """Returns whether more labels are right without transfer; more certainty alone does not speak for it."""
    if plain.accuracy is not None and other.accuracy is not None and plain.accuracy > other.accuracy:
        return True
    return plain.nearest_mean > other.nearest_mean


def _place(trial: Trial, tried: list[str]) -> tuple[bool, float]:
    """Returns a trial's rank: sources that were kept first, by heads; then the others, by nearest means.

    Heads are ranked by the sum of error rate and log loss. With few labels, accuracies are often equal or
    differ by chance, but the probability of the true class still separates candidates. The log loss alone is
    not enough, because a single confident mistake can dominate it.
    """
    if trial.accuracy is None or trial.log_loss is None:
        return trial.handle not in tried, -trial.nearest_mean
    return False, trial.log_loss - trial.accuracy
