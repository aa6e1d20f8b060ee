"""A head that also learns from a pool without labels: several linear heads, averaged by held-out labels."""

from __future__ import annotations

from typing import Any, cast

import keras
import numpy as np
from keras import ops

from tfautolabel.heads.covariance_power import POWERS, principal_axes
from tfautolabel.heads.evidence import log_likelihoods, mixed_by_evidence
from tfautolabel.heads.linear import Examples, LinearHead
from tfautolabel.heads.normalization import unit_rows
from tfautolabel.heads.softmax_regression import SoftmaxRegression

POOL_ROWS = 300
"""A smaller pool says too little about the directions in which features vary; then the head is the linear
one."""

_ROWS_AT_ONCE = 8192


@keras.saving.register_keras_serializable("tfautolabel")
class ScaledHeads(keras.layers.Layer):
    """Averages a head with others on features that are scaled by powers of a pool's covariance.

    Before it has learnt anything, all weight is on the head that it gets.

    Args:
        feature_dim: d.
        n_classes: k.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        features: (n, d) float32, rows of length one.
        plain: (n, k) float32, the probabilities of the head on these features.

    Returns:
        (n, k) float32, rows sum to 1.
    """

    def __init__(self, feature_dim: int, n_classes: int, **options: Any) -> None:
        super().__init__(trainable=False, **options)
        self.feature_dim, self.n_classes = feature_dim, n_classes
        m = len(POWERS)
        shapes = {
            "shares": (m + 1,),
            "directions": (feature_dim, feature_dim),
            "scales": (m, feature_dim),
            "kernels": (m, feature_dim, n_classes),
            "biases": (m, n_classes),
        }
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape=shape, initializer="zeros", trainable=False, name=name))
        self.forget()
        self.built = True

    def forget(self) -> None:
        """Puts all weight on the head that the layer gets."""
        self.shares.assign(np.eye(1, len(POWERS) + 1, dtype=np.float32)[0])

    def call(self, features: Any, plain: Any) -> Any:
        """See the class."""
        along = ops.matmul(features, self.directions)
        total = self.shares[0] * plain
        for number in range(len(POWERS)):
            rows = unit_rows(along * self.scales[number])
            scores = ops.matmul(rows, self.kernels[number]) + self.biases[number]
            total = total + self.shares[number + 1] * ops.softmax(scores, axis=-1)
        return total

    def compute_output_shape(
        self,
        features_shape: tuple[int | None, ...],  # noqa: ARG002 # Keras asks with all inputs' shapes
        plain_shape: tuple[int | None, ...],
    ) -> tuple[int | None, ...]:
        """The shape of the probabilities."""
        return plain_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        config = super().get_config()
        config.pop("trainable")
        return {**config, "feature_dim": self.feature_dim, "n_classes": self.n_classes}


@keras.saving.register_keras_serializable("tfautolabel")
class AutoHead(LinearHead):
    """The linear head, averaged with others that a pool without labels informs, by held-out labels.

    The other heads are linear too, on features that are scaled by powers of the covariance of labelled
    examples and pool; see `tfautolabel.heads.covariance_power`. Each one's weight comes from the
    likelihood of held-out labels; see `tfautolabel.heads.evidence`. Nothing assumes that classes have
    equal shares in the pool. Without a pool of `POOL_ROWS` or more, or with another optimizer than
    "lbfgs", it is the linear head.

    Args:
        feature_dim: d, the length of a feature vector.
        n_classes: k.
        **options: options of `LinearHead`.

    Attributes:
        pool_: after `fit`, a record of what the pool was worth: see `fit`.
    """

    def __init__(self, feature_dim: int, n_classes: int, **options: Any) -> None:
        super().__init__(feature_dim, n_classes, **options)
        self.scaled = ScaledHeads(feature_dim, n_classes, name="scaled_heads")
        self.pool_: dict[str, Any] = {}

    def call(self, features: Any) -> Any:
        """See the class."""
        rows = self.normalization(features)
        return self.scaled(rows, self.dense(rows))

    @property
    def learns_from_pool(self) -> bool:
        """Whether `fit` takes a pool; see `tfautolabel.heads.contract`."""
        return self.solves_itself

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
            A `keras.callbacks.History`. `pool_` then says under "level" whether the head is "linear" or uses
            "maps", and "why" in a sentence; with maps also the "shares" of the heads, and the gain over
            the linear head on held-out labels: in "accuracy" (in [-1, 1]) and in "nats" of log-likelihood
            over all labels.

        Raises:
            ValueError: As `LinearHead.fit`, or if the pool's shape does not fit.
        """
        self.scaled.forget()
        rows = 0 if pool is None else len(pool)
        if not self.solves_itself or pool is None or rows < POOL_ROWS:
            self.pool_ = {"level": "linear", "pool_rows": rows, "why": _why_linear(rows, self.solves_itself)}
            return super().fit(
                x, y, sample_weight=sample_weight, class_weight=class_weight, groups=groups, **options
            )
        if np.ndim(pool) != 2 or np.shape(pool)[1] != self.feature_dim:
            raise ValueError(
                f"the pool's features have shape (m, {self.feature_dim}). Received: shape {np.shape(pool)}"
            )
        examples = self._examples(x, y, sample_weight, class_weight, groups)
        known, unlabelled = self._normalized(examples.features), self._normalized(pool)
        axes = principal_axes([known, *_parts(unlabelled)])
        views = [known, *(axes.scaled(known, power) for power in POWERS)]
        models = [self._solved(view, examples) for view in views]
        held_out = [cast(np.ndarray, model.out_of_fold) for model in models]
        judged = _judged(examples)
        weights = examples.weights * judged
        shares, exponents, out_of_fold = mixed_by_evidence(
            held_out, examples.class_ids, examples.folds, weights
        )
        plain, *others = [
            (model.weights * exponent, model.bias * exponent)
            for model, exponent in zip(models, exponents, strict=True)
        ]
        self.dense.set_weights(list(plain))
        self.scaled.shares.assign(shares)
        self.scaled.directions.assign(axes.directions)
        self.scaled.scales.assign(np.stack([axes.shares**power for power in POWERS]))
        self.scaled.kernels.assign(np.stack([kernel for kernel, _ in others]))
        self.scaled.biases.assign(np.stack([bias for _, bias in others]))
        self.out_of_fold_, self.C_ = out_of_fold[np.argsort(examples.order)], models[0].C
        self.pool_ = {"level": "maps", "pool_rows": rows} | _worth(
            models[0], out_of_fold, shares, examples.class_ids, judged
        )
        return self._history(self(examples.features), examples.class_ids, out_of_fold)

    def _normalized(self, features: np.ndarray) -> np.ndarray:
        parts = [self.normalization(part) for part in _parts(np.asarray(features, np.float32))]
        return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE)]


def _judged(examples: Examples) -> np.ndarray:
    """Returns (n,) bool: the examples of whose class other examples stay when they are held out."""
    folds_of = {
        number: len(np.unique(examples.folds[examples.class_ids == number]))
        for number in np.unique(examples.class_ids).tolist()
    }
    return np.array([folds_of[number] > 1 for number in examples.class_ids.tolist()], bool)


def _why_linear(rows: int, solves_itself: bool) -> str:
    if not solves_itself:
        return "the head is the linear one, because only its own solver learns from a pool"
    if not rows:
        return "the head is the linear one, because there is no pool to learn from"
    return (
        f"the head is the linear one, because a pool of {rows:,} says too little: it learns from "
        f"{POOL_ROWS} or more"
    )


def _worth(
    linear: SoftmaxRegression,
    out_of_fold: np.ndarray,
    shares: np.ndarray,
    class_ids: np.ndarray,
    judged: np.ndarray,
) -> dict[str, Any]:
    """Returns what the pool was worth, on held-out labels that had no say in the weights that judge them."""
    names = ["linear", *(f"power {power:g}" for power in POWERS)]
    found: dict[str, Any] = {
        "shares": {name: round(float(share), 3) for name, share in zip(names, shares, strict=True)},
        "labels": int(judged.sum()),
    }
    if not judged.any():
        why = "the head averages three heads that the pool informs; no held-out label says what that is worth"
        return found | {"accuracy": None, "nats": None, "why": why}
    before, after = cast(np.ndarray, linear.out_of_fold)[judged], out_of_fold[judged]
    truth = class_ids[judged]
    right = [float((one.argmax(axis=1) == truth).mean()) for one in (before, after)]
    nats = float((log_likelihoods(after, truth) - log_likelihoods(before, truth)).sum())
    why = (
        f"the pool is worth {100.0 * (right[1] - right[0]):+.1f} points and {nats:+.1f} nats on "
        f"{len(truth):,} held-out labels: {right[1]:.1%} of them right, {right[0]:.1%} with the linear head"
    )
    return found | {"accuracy": round(right[1] - right[0], 4), "nats": round(nats, 2), "why": why}
