"""Conformal prediction: sets of labels that contain the right one with a stated probability.

Split conformal prediction compares scores with the scores of the labelled examples' true classes.

- "lac": all classes with a high enough probability; the smallest sets on average (Sadinle, Lei and Wasserman,
  Least ambiguous set-valued classifiers, arXiv 1609.00451).
- "aps": the most probable classes until their probabilities add up to enough; sets grow where the labeler is
  unsure (Romano, Sesia and Candès, Classification with valid and adaptive coverage, arXiv 2006.02544).
- "raps": "aps" with a penalty for every class beyond the first few, which cuts the long tails off
  (Angelopoulos et al., Uncertainty sets for image classifiers, arXiv 2009.14193).

If the labeler has not seen the examples and they are drawn like the future ones, the right class is in the
set with at least the stated coverage, on average over examples; with `per_class`, within each class (Vovk's
Mondrian sets). With out-of-fold probabilities this holds only approximately.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

METHODS = ("lac", "aps", "raps")
_PENALTIES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.3)
_TUNING_SHARE = 0.2
_ROUNDING = 1e-6
"""The tolerance for the sum of a row of float32 probabilities, which is not exactly 1."""


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """Calibrated label sets.

    Attributes:
        method: one of `METHODS`.
        coverage: in (0, 1).
        thresholds: (k,) float64, the largest score with which a class is in the set; infinite for a class
            that has too few examples to leave it out.
        randomised: whether "aps" and "raps" draw a random number for each row. This makes the coverage exact
            and some sets empty. Otherwise a set holds every class that any draw would include.
        penalty: the penalty of "raps" for each class beyond the first `free_classes`.
        free_classes: how many classes have no penalty.
        seed: determines the random numbers.
        n_labels: how many labelled examples were used.
    """

    method: str
    coverage: float
    thresholds: np.ndarray
    randomised: bool
    penalty: float
    free_classes: int
    seed: int
    n_labels: int

    def sets(self, probabilities: np.ndarray) -> np.ndarray:
        """Returns which classes are in each example's set.

        Args:
            probabilities: (n, k), rows sum to 1; a row of zeros gives an empty set.

        Returns:
            (n, k) bool.

        Raises:
            ValueError: If there are not k columns.
        """
        probabilities = _checked(probabilities, len(self.thresholds))
        # These draws are not those of the calibration. The largest draw gives the largest sets.
        draws = np.random.default_rng([self.seed, 1]).random(len(probabilities))
        draws = draws if self.randomised else np.ones(len(probabilities))
        scores = _scores(probabilities, self.method, draws, self.penalty, self.free_classes)
        inside = scores <= self.thresholds + _ROUNDING
        if self.method != "lac" and not self.randomised:
            inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
        inside[probabilities.sum(axis=1) == 0.0] = False
        return inside

    def to_dict(self) -> dict[str, Any]:
        """Returns the sets' settings as plain values, ready for JSON; an infinite threshold becomes None."""
        bounds = [float(bound) if np.isfinite(bound) else None for bound in self.thresholds]
        return asdict(self) | {"thresholds": bounds}

    @classmethod
    def from_dict(cls, entries: dict[str, Any]) -> ConformalSets:
        """Restores what `to_dict` returned."""
        bounds = [np.inf if bound is None else bound for bound in entries["thresholds"]]
        return cls(**entries | {"thresholds": np.array(bounds, np.float64)})


def calibrate_sets(
    probabilities: np.ndarray,
    class_ids: np.ndarray,
    coverage: float = 0.9,
    method: str = "lac",
    *,
    randomised: bool = True,
    per_class: bool = False,
    seed: int = 0,
) -> ConformalSets:
    """Learns from labelled examples how large the sets must be.

    "raps" uses a fifth of the examples to choose its penalty and its number of free classes: it takes the
    pair with the smallest sets.

    Args:
        probabilities: (n, k), rows sum to 1, for examples that the head has not seen.
        class_ids: (n,) int64 in [0, k), the truth.
        coverage: in (0, 1).
        method: one of `METHODS`.
        randomised: see `ConformalSets`; "lac" does not need it.
        per_class: whether the coverage must hold within each class; this needs about
            coverage / (1 - coverage) examples of each class.
        seed: determines the random numbers.

    Returns:
        The sets. With too few examples, every set contains all classes.

    Raises:
        ValueError: If the method is unknown, the coverage is not in (0, 1), or the shapes do not agree.

    Examples:
        >>> calibrated = calibrate_sets(np.tile([[0.7, 0.2, 0.1]], (9, 1)), np.zeros(9, int), 0.9)
        >>> calibrated.sets(np.array([[0.75, 0.25, 0.0], [0.5, 0.4, 0.1]])).tolist()
        [[True, False, False], [False, False, False]]
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}. Received: method={method!r}")
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage must lie between 0 and 1, both excluded. Received: coverage={coverage}")
    class_ids = np.asarray(class_ids)
    probabilities = _checked(probabilities, np.shape(probabilities)[-1])
    if len(probabilities) != len(class_ids):
        raise ValueError(
            "there must be one class id for each row of probabilities. Received: "
            f"{len(class_ids)} class ids, {len(probabilities)} rows"
        )
    rng = np.random.default_rng([seed, 0])
    randomised = randomised and method != "lac"
    penalty, free, kept = 0.0, 0, np.ones(len(class_ids), bool)
    if method == "raps":
        tuning = rng.permutation(len(class_ids)) < int(_TUNING_SHARE * len(class_ids))
        penalty, free = _smallest(probabilities[tuning], class_ids[tuning], coverage, rng)
        kept = ~tuning
    rows, truth = probabilities[kept], class_ids[kept]
    own = _scores(rows, method, rng.random(len(rows)), penalty, free)[np.arange(len(rows)), truth]
    k = probabilities.shape[1]
    if per_class:
        thresholds = np.array([_quantile(own[truth == number], coverage) for number in range(k)])
    else:
        thresholds = np.full(k, _quantile(own, coverage))
    return ConformalSets(method, coverage, thresholds, randomised, penalty, free, seed, len(class_ids))


def _smallest(
    probabilities: np.ndarray, class_ids: np.ndarray, coverage: float, rng: np.random.Generator
) -> tuple[float, int]:
    """Returns the penalty and number of free classes with the smallest sets; mild values without data."""
    if len(class_ids) * (1.0 - coverage) < 1.0:
        return 0.01, 1
    own = np.take_along_axis(probabilities, class_ids[:, None], axis=1)
    ranks = (probabilities > own).sum(axis=1) + 1
    free = max(int(np.quantile(ranks, coverage, method="higher")) - 1, 0)
    draws = rng.random(len(class_ids))
    sizes = []
    for penalty in _PENALTIES:
        scores = _scores(probabilities, "raps", draws, penalty, free)
        threshold = _quantile(scores[np.arange(len(class_ids)), class_ids], coverage)
        sizes.append(float((scores <= threshold + _ROUNDING).sum(axis=1).mean()))
    return _PENALTIES[int(np.argmin(sizes))], free


def _scores(
    probabilities: np.ndarray, method: str, draws: np.ndarray, penalty: float, free: int
) -> np.ndarray:
    """Returns (n, k) nonconformity scores: how badly each class fits the example."""
    if method == "lac":
        return 1.0 - probabilities
    order = np.argsort(-probabilities, axis=1, kind="stable")
    falling = np.take_along_axis(probabilities, order, axis=1)
    sums = np.cumsum(falling, axis=1)
    sums -= draws[:, None] * falling
    if method == "raps":
        sums += penalty * np.maximum(np.arange(1, probabilities.shape[1] + 1) - free, 0)
    scores = np.empty_like(sums)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def _quantile(scores: np.ndarray, coverage: float) -> float:
    """Returns the smallest score that covers the share `coverage` of the scores and of the one to come."""
    rank = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return float(np.sort(scores)[rank - 1]) if rank <= len(scores) else np.inf


def _checked(probabilities: np.ndarray, k: int) -> np.ndarray:
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] != k:
        raise ValueError(f"probabilities must have shape (n, k). Received: shape {probabilities.shape}")
    return probabilities
