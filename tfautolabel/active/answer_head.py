"""The default head, learnt from the answers about a pool whose features are there already.

It is the linear head, without Keras: a session learns after every few answers. Examples that a strategy chose
do not tell how good it is, so what is held out tells the drawn ones from the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from tfautolabel.active.geometry import power_normalized, suited_power
from tfautolabel.data.folds import content_order, stratified_folds
from tfautolabel.data.shares import share_weights
from tfautolabel.heads.softmax_regression import fit_softmax_regression, left_out_probabilities

FOLDS = 5
DRAWN_FOLDS = 20
"""Drawn examples are held out in so many parts, one by one if there are no more. Then the heads that judge
them know nearly as much as the one that labels the others, and an answer more does not cost more fits."""

KEPT_BYTES = 1 << 30
"""Normalised features are kept up to this size, and computed at each use beyond it."""
_PART_ROWS = 16_384


class NormalizedFeatures:
    """Features as the linear head takes them, normalised once if memory allows it.

    Args:
        features: (n, d) float32, as a backbone gives them; an array or a memory map.
        power: see `suited_power`; by default, the one that suits these features.
    """

    def __init__(self, features: np.ndarray, power: float | None = None) -> None:
        self.power = suited_power(features) if power is None else power
        self._features = features
        self._kept: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._features)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Returns (m, d) float32, rows of length one."""
        if self._kept is not None:
            return np.asarray(self._kept[rows])
        return power_normalized(np.asarray(self._features[rows], np.float32), self.power)

    def as_given(self, rows: np.ndarray) -> np.ndarray:
        """Returns (m, d) float32, rows as the backbone gives them."""
        return np.asarray(self._features[rows], np.float32)

    def parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields all rows, some thousand at a time, and which they are."""
        if self._kept is None and 4 * np.size(self._features) <= KEPT_BYTES:
            kept = np.empty(np.shape(self._features), np.float32)
            for part in self._slices():
                kept[part] = self[part]
            self._kept = kept
        for part in self._slices():
            yield part, self[part]

    def _slices(self) -> Iterator[slice]:
        for start in range(0, len(self), _PART_ROWS):
            yield slice(start, start + _PART_ROWS)


@dataclass(frozen=True, eq=False)
class AnswerHead:
    """A head that has learnt from answers.

    Attributes:
        n_classes: k.
        seen: (s,) int64, ascending, the classes that have an answer; the others get no probability.
        weights: (d, s) float32.
        bias: (s,) float32.
        held_out: (n, k) float32, each answered example's probabilities from a head that has not seen it. The
            heads for the drawn ones have seen nearly all others, those for the rest four fifths.
    """

    n_classes: int
    seen: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    held_out: np.ndarray

    def probabilities(self, features: NormalizedFeatures) -> np.ndarray:
        """Returns (n, k) float32."""
        found = np.zeros((len(features), self.n_classes), np.float32)
        for part, rows in features.parts():
            found[part, self.seen] = softmax(rows @ self.weights + self.bias, axis=1)
        return found


def learn_answers(
    features: NormalizedFeatures,
    rows: np.ndarray,
    class_ids: np.ndarray,
    n_classes: int,
    *,
    sampling: str = "chosen",
    drawn: np.ndarray | None = None,
    seed: int = 0,
) -> AnswerHead | None:
    """Fits the head; None as long as there are not two classes with an answer.

    Args:
        features: of the pool.
        rows: (n,) int64, the rows of the pool that have an answer.
        class_ids: (n,) int64 in [0, k), the answers.
        n_classes: k; some classes may have no answer yet.
        sampling: how the head takes the shares of the answers, a key of `SAMPLINGS`.
        drawn: (n,) bool, which examples were drawn at random; by default none.
        seed: decides the folds.
    """
    seen, own = np.unique(class_ids, return_inverse=True)
    if len(seen) < 2:
        return None
    # In this order, and with folds by what the backbone gives, it is the head that `run` would fit.
    content = features.as_given(rows)
    order = content_order(content, own)
    content, own, values = content[order], own[order], features[rows[order]]
    weights = share_weights(own, len(seen), sampling)
    per_example = None if weights is None else np.array([weights[int(c)] for c in own], np.float32)
    folds = stratified_folds(own, FOLDS, seed, content=content)
    found = fit_softmax_regression(values, own, len(seen), folds=folds, sample_weight=per_example)
    judged = np.array(found.out_of_fold)
    if drawn is not None and drawn.any():
        groups = _drawn_groups(content, own, drawn[order], seed)
        left_out = left_out_probabilities(found, values, own, groups, sample_weight=per_example)
        judged[groups >= 0] = left_out[groups >= 0]
    held_out = np.zeros((len(own), n_classes), np.float32)
    held_out[np.ix_(order, seen)] = judged
    return AnswerHead(n_classes, seen, found.weights, found.bias, held_out)


def _drawn_groups(content: np.ndarray, class_ids: np.ndarray, drawn: np.ndarray, seed: int) -> np.ndarray:
    """Returns (n,) int64: which drawn examples are held out together, -1 for the others."""
    groups = np.full(len(drawn), -1)
    rows = np.flatnonzero(drawn)
    groups[rows] = 0
    if len(rows) > 1:
        groups[rows] = stratified_folds(
            class_ids[rows], min(DRAWN_FOLDS, len(rows)), seed, content=content[rows]
        )
    return groups
