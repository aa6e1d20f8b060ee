"""A head that also learns from a pool without labels: several heads, averaged by held-out labels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfautolabel.data.folds import content_order
from tfautolabel.heads.class_shares import (
    LABELS,
    STANDARD_ERRORS,
    share_factors,
    shift_in_errors,
    with_factors,
)
from tfautolabel.heads.evidence import gain, mixed_by_evidence
from tfautolabel.heads.linear import Examples, LinearHead
from tfautolabel.heads.neighbours import ANCHORS
from tfautolabel.heads.pool_fit import FittedHeads, PoolRows, fit_pool_heads
from tfautolabel.heads.pool_heads import HEADS_OF_POOL, PoolHeads

POOL_ROWS = 300
"""A smaller pool says too little about the directions in which features vary; then the head is the linear
one."""

NEIGHBOUR_ROWS = 1_000
"""In a smaller pool neighbours lie too far away to say much."""

LEVELS = ("maps", "neighbours")
"""What a head may use of a pool: its covariance; or also which of its examples are neighbours."""


@keras.saving.register_keras_serializable("tfautolabel")
class AutoHead(LinearHead):
    """The linear head, averaged with others that a pool without labels informs, by held-out labels.

    The other heads are linear too, on features that are scaled by powers of the covariance of labelled
    examples and pool, see `tfautolabel.heads.covariance_power`; and in a pool of `NEIGHBOUR_ROWS` or more,
    heads that average over neighbours, see `tfautolabel.heads.neighbours`. Each one's weight comes from the
    likelihood of held-out labels; see `tfautolabel.heads.evidence`. Nothing assumes that classes have equal
    shares in the pool. Without a pool of `POOL_ROWS` or more, or with another optimizer than "lbfgs", it
    is the linear head.

    With neighbours, head and exported model hold the features of up to `ANCHORS` examples of the pool.

    Args:
        feature_dim: d, the length of a feature vector.
        n_classes: k.
        level: one of `LEVELS`, the most that it uses of a pool.
        anchors: how many examples of a pool a fitted head holds; None if it has learnt from no pool.
        **options: options of `LinearHead`.

    Attributes:
        pool_: after `fit`, a record of what the pool was worth: see `fit`.

    Raises:
        ValueError: If the level is unknown.
    """

    def __init__(
        self,
        feature_dim: int,
        n_classes: int,
        level: str = "neighbours",
        anchors: int | None = None,
        **options: Any,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}. Received: level={level!r}")
        super().__init__(feature_dim, n_classes, **options)
        self.level = level
        self.pool_heads = PoolHeads(feature_dim, n_classes, anchors, name="pool_heads")
        self.pool_: dict[str, Any] = {}

    def call(self, features: Any) -> Any:
        """See the class."""
        rows = self.normalization(features)
        return self.pool_heads(rows, self.dense(rows))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal head."""
        return {**super().get_config(), "level": self.level, "anchors": self.pool_heads.anchors}

    @property
    def learns_from_pool(self) -> bool:
        """Whether `fit` takes a pool; see `tfautolabel.heads.contract`."""
        return self.solves_itself

    def forget(self) -> None:
        """Drops what a fit has learnt besides the linear head, with the variables that hold it."""
        self.pool_heads.forget()
        self.predict_function = self.test_function = None  # their graphs may hold other heads

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        sample_weight: Any = None,
        class_weight: dict[int, float] | None = None,
        groups: np.ndarray | None = None,
        pool: np.ndarray | None = None,
        **options: Any,
    ) -> Any:
        """Trains the head; see `LinearHead.fit`.

        Args:
            x: (n, d) float32 features.
            y: (n,) integer class ids in [0, k).
            sample_weight: (n,) float32.
            class_weight: class id to weight.
            groups: (n,) int64, equal for copies of one example.
            pool: (m, d) float32, features of a random sample of the examples to label; None if there are
                none.
            **options: options of `LinearHead.fit`.

        Returns:
            A `keras.callbacks.History`. `pool_` then says under "level" whether the head is "linear", uses
            "maps" or "neighbours" too, and "why" in a sentence; with a pool also the "shares" of the
            heads, the gain over the linear head on held-out labels, in "accuracy" (in [-1, 1]) and in
            "nats" of log-likelihood over all labels, and "class_shares", those of the pool where they had
            to be corrected.

        Raises:
            ValueError: As `LinearHead.fit`, or if the pool's shape does not fit.
        """
        self.forget()
        if not self.solves_itself:
            self.pool_ = linear_record("only its own solver learns from a pool")
            return super().fit(
                x, y, sample_weight=sample_weight, class_weight=class_weight, groups=groups, **options
            )
        if pool is not None and (np.ndim(pool) != 2 or np.shape(pool)[1] != self.feature_dim):
            raise ValueError(
                f"the pool's features have shape (m, {self.feature_dim}). Received: shape {np.shape(pool)}"
            )
        return self._learn(self._examples(x, y, sample_weight, class_weight, groups), pool)

    def _learn(self, examples: Examples, pool: np.ndarray | None = None) -> Any:
        """Fits and weighs all heads, if the pool is large enough; here it is decided whether it is."""
        rows = 0 if pool is None else len(pool)
        if pool is None or rows < POOL_ROWS:
            few = f"a pool of {rows:,} says too little: it learns from {POOL_ROWS} or more"
            self.pool_ = linear_record(few if rows else "there is no pool to learn from", rows)
            return super()._learn(examples)
        known = self._normalized(examples.features)
        unlabelled = PoolRows(pool, content_order(pool, np.zeros(rows, np.int64)), self._normalized)
        near = self.level == "neighbours" and rows >= NEIGHBOUR_ROWS and len(known) <= ANCHORS
        of_pool = fit_pool_heads(known, examples, unlabelled, near, self._solved, self.n_classes, self.seed)
        self.dense.set_weights([of_pool.models[0].weights, of_pool.models[0].bias])
        judged = examples.judged
        shares, exponents, out_of_fold = mixed_by_evidence(
            of_pool.held_out, examples.class_ids, examples.folds, examples.weights * judged
        )
        self.pool_heads.take(of_pool, shares, exponents)
        record = _worth(of_pool, out_of_fold, shares, examples.class_ids, judged)
        out_of_fold, of_shares = self._correct_shares(unlabelled, out_of_fold, examples)
        if of_shares["class_shares"] is not None:
            record["why"] += (
                "; classes have other shares in the pool than among the labels, which is corrected"
            )
        self.pool_ = {"level": "neighbours" if near else "maps", "pool_rows": rows} | record | of_shares
        self.out_of_fold_, self.C_ = out_of_fold[np.argsort(examples.order)], of_pool.models[0].C
        return self._history(self(examples.features), examples.class_ids, out_of_fold)

    def _correct_shares(
        self, unlabelled: PoolRows, out_of_fold: np.ndarray, examples: Examples
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Corrects the classes' shares if the pool has others; held-out labels stay on the same scale."""
        counts = np.bincount(examples.class_ids, minlength=self.n_classes)
        if counts.min() < LABELS:
            return out_of_fold, {"class_shares": None}
        parts = [self.pool_heads(part, self.dense(part)) for part in unlabelled.parts()]
        of_pool = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])
        errors = shift_in_errors(of_pool, out_of_fold, examples.weights)
        if errors <= STANDARD_ERRORS:
            return out_of_fold, {"class_shares": None}
        total = np.bincount(examples.class_ids, examples.weights, self.n_classes)
        expected = total / total.sum()
        factors = share_factors(of_pool, expected)
        self.pool_heads.factors.assign(factors)
        found = [round(float(share), 4) for share in factors * expected]
        return with_factors(out_of_fold, factors).astype(np.float32), {"class_shares": found}

    def _normalized(self, features: np.ndarray) -> np.ndarray:
        """Returns (n, d) float32 features of length one."""
        found: np.ndarray = keras.ops.convert_to_numpy(self.normalization(np.asarray(features, np.float32)))
        return found


def linear_record(why: str, rows: int = 0) -> dict[str, Any]:
    """Returns the record of a head that learns from no pool.

    Args:
        why: the rest of a sentence.
        rows: of the pool.
    """
    return {"level": "linear", "pool_rows": rows, "why": f"the head is the linear one, because {why}"}


def _worth(
    of_pool: FittedHeads,
    out_of_fold: np.ndarray,
    shares: np.ndarray,
    class_ids: np.ndarray,
    judged: np.ndarray,
) -> dict[str, Any]:
    """Returns what the pool was worth, on held-out labels that had no say in the weights that judge them."""
    found: dict[str, Any] = {
        "shares": {name: round(float(share), 3) for name, share in zip(HEADS_OF_POOL, shares, strict=False)},
        "labels": int(judged.sum()),
    }
    if not judged.any():
        why = f"the head averages {len(shares)} heads that the pool informs; no held-out label says its worth"
        return found | {"accuracy": None, "nats": None, "why": why}
    before, after, nats = gain(of_pool.held_out[0][judged], out_of_fold[judged], class_ids[judged])
    why = (
        f"the pool is worth {100.0 * (after - before):+.1f} points and {nats:+.1f} nats on "
        f"{judged.sum():,} held-out labels: {after:.1%} of them right, {before:.1%} with the linear head"
    )
    return found | {"accuracy": round(after - before, 4), "nats": round(nats, 2), "why": why}
