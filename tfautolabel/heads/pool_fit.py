"""Fits the heads that a pool informs, and predicts every label with heads that have not seen it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import softmax

from tfautolabel.heads.covariance_power import POWERS, Axes, principal_axes
from tfautolabel.heads.linear import Examples
from tfautolabel.heads.neighbours import ANCHORS, Anchors, passed_to
from tfautolabel.heads.softmax_regression import SoftmaxRegression, left_out_models

MAPS = ("linear", *(f"power {power:g}" for power in POWERS))
"""The heads that need no neighbours, in the order of their shares."""

HEADS_OF_POOL = (
    *MAPS,
    "smoothed",
    f"smoothed, power {POWERS[-1]:g}",
    "passed along",
    f"passed along, power {POWERS[-1]:g}",
)
"""All heads. The last two start from the heads "linear" and that of the last power."""

PASSED_FROM = (0, len(POWERS))
"""The places of the heads from which probabilities are passed along."""

Solve = Callable[[np.ndarray, Examples], SoftmaxRegression]
"""Fits features of the examples, scaled in some way, with cross-validation."""

_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True, eq=False)
class PoolRows:
    """The rows of a pool, of length one; they are made as they are needed, since a pool may be large.

    Attributes:
        features: (m, d) float32, as a backbone gives them.
        order: (m,) int64, an order that depends on the contents only.
        normalized: makes (n, d) float32 rows of length one of (n, d) features.
    """

    features: np.ndarray
    order: np.ndarray
    normalized: Callable[[np.ndarray], np.ndarray]

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, places: np.ndarray | slice) -> np.ndarray:
        """Returns (n, d) float32 rows at places in this order."""
        return self.normalized(self.features[self.order[places]])

    def parts(self) -> Iterator[np.ndarray]:
        """Yields all rows, a thousand at a time."""
        for start in range(0, len(self), _ROWS_AT_ONCE):
            yield self[start : start + _ROWS_AT_ONCE]


@dataclass(frozen=True, eq=False)
class FittedHeads:
    """Heads on one pool.

    Attributes:
        axes: the principal axes of pool and labelled examples.
        models: the linear ones, in the order of `HEADS_OF_POOL`.
        held_out: c arrays (n, k) in the order of `HEADS_OF_POOL`, each label's probabilities from a head that
            has not seen it. Where labels pass along, those of its fold were hidden.
        anchors: see `Anchors`; None without neighbours.
        carried: (2, m, k) float32, what the anchors pass along from the heads in `PASSED_FROM`; None without.
    """

    axes: Axes
    models: list[SoftmaxRegression]
    held_out: list[np.ndarray]
    anchors: Anchors | None = None
    carried: np.ndarray | None = None


def fit_pool_heads(
    known: np.ndarray,
    examples: Examples,
    pool: PoolRows,
    near: bool,
    solve: Solve,
    n_classes: int,
    seed: int,
) -> FittedHeads:
    """Fits all heads.

    Args:
        known: (n, d) float32, the labelled examples' features, of length one.
        examples: the same examples, with labels, weights and folds.
        pool: its m rows.
        near: whether neighbours are used.
        solve: fits one head.
        n_classes: k.
        seed: determines which rows of a large pool are anchors.
    """
    axes = principal_axes(itertools.chain([known], pool.parts()))
    views = [known, *(axes.scaled(known, power) for power in POWERS)]
    if not near:
        models = [solve(view, examples) for view in views]
        return FittedHeads(axes, models, [cast(np.ndarray, model.out_of_fold) for model in models])
    drawn = np.random.default_rng(seed).permutation(len(pool))[: ANCHORS - len(known)]
    rows = np.concatenate([known, pool[np.sort(drawn)]])
    anchors = Anchors.of(rows)
    places, weights = anchors.seen_from(known)
    smooth = anchors.smoothed(known, places, weights)
    views += [smooth, axes.scaled(smooth, POWERS[-1])]
    models = [solve(view, examples) for view in views]
    held_out = [cast(np.ndarray, model.out_of_fold) for model in models]
    labels = np.eye(n_classes, dtype=np.float32)[examples.class_ids]
    carried = []
    for place in PASSED_FROM:
        model, power = models[place], (0.0, *POWERS)[place]
        view = rows if place == 0 else axes.scaled(rows, power)
        carried.append(anchors.passed_along(_believed(view, model.weights, model.bias), labels))
        one = np.zeros_like(labels)
        folds = left_out_models(
            model, views[place], examples.class_ids, examples.folds, sample_weight=examples.weights
        )
        for out, kernel, bias in folds:
            own = _believed(view, kernel, bias)
            hidden = anchors.passed_along(own, labels * ~out[:, None])
            one[out] = np.asarray(passed_to(own[: len(known)][out], places[out], weights[out], hidden))
        held_out.append(one)
    return FittedHeads(axes, models, held_out, anchors, np.stack(carried))


def _believed(rows: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(rows @ kernel + bias, axis=1), np.float32)
