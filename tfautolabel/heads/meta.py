"""A head beside which another one learns on features that earlier tasks have taught how to scale."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

import keras
import numpy as np
from keras import ops

from tfautolabel.heads.auto import AutoHead
from tfautolabel.heads.averaging import Averaging
from tfautolabel.heads.evidence import gain, mixed_by_evidence
from tfautolabel.heads.linear import Examples
from tfautolabel.heads.normalization import SMALL, unit_rows

LEAST_SHARE = 0.02
"""With a smaller share the second head is not used: it would change no label."""

LEAST_LABELS = 20
"""So many held-out labels must judge it. With six and with twelve, the weights followed chance, and a map
that did not fit cost .5 to .7 points on the mean. Chosen on draws 200 to 203 and 300 to 309;
`benchmarks/meta_learning.py` measures others."""


@keras.saving.register_keras_serializable("tfautolabel")
class MappedHead(Averaging):
    """A linear head on mapped features, and its share in an average with another head.

    At first, all weight is on the other head. For arguments and results see `Averaging`.
    """

    def __init__(self, feature_dim: int, n_classes: int, **options: Any) -> None:
        super().__init__(feature_dim, n_classes, **options)
        self.power = self._weight("power", (), "ones")
        self.matrix = self._weight("matrix", (feature_dim, feature_dim), "identity")
        self.kernel = self._weight("kernel", (feature_dim, n_classes))
        self.bias = self._weight("bias", (n_classes,))
        self.share = self._weight("share", ())
        self.exponents = self._weight("exponents", (2,), "ones")
        self.built = True

    def mapped(self, features: Any) -> Any:
        """Returns (n, d) rows of length one: raised to the power, multiplied by the matrix."""
        raised = ops.sign(features) * ops.power(ops.abs(features) + SMALL, self.power)
        return unit_rows(ops.matmul(unit_rows(raised), self.matrix))

    def forget(self) -> None:
        """Puts all weight on the other head; the map stays."""
        self.share.assign(0.0)
        self.exponents.assign(np.ones(2, np.float32))

    def call(self, features: Any, plain: Any) -> Any:
        """See the class."""
        scores = ops.matmul(self.mapped(features), self.kernel) + self.bias
        found = (plain, ops.softmax(scores, axis=-1))
        total = self.average(found, (1.0 - self.share, self.share), self.exponents)
        # Without a share, the other head's probabilities stay as they are, the smallest too.
        return ops.where(self.share > 0.0, total, plain)


@keras.saving.register_keras_serializable("tfautolabel")
class MetaHead(AutoHead):
    """The head "linear" or "auto", averaged with a linear head on features that a meta-learner maps.

    Each one's weight comes from the likelihood of held-out labels, with a head start for the plain one; see
    `tfautolabel.heads.evidence`. So a map that does not suit the labels loses its share.

    Args:
        feature_dim: d.
        n_classes: k.
        from_pool: whether the plain head is "auto", which learns from a pool too; else it is "linear".
        fingerprint: of the backbone whose features the map is for.
        earlier: hashes of the contents that taught the map, as `tfautolabel.data.Learnt` has them.
        on_earlier: what such maps are worth on the earlier sets, in a sentence; None if that is not known.
        **options: options of `AutoHead`.

    Attributes:
        refused: why the map may not be used by `fit`, in words; None if it may.
        meta_: after `fit`, a record of what the map was worth: whether it is "used"; its "share"; on held-out
            labels the gain over the plain head, in "accuracy" (in [-1, 1]) and in "nats" of log-likelihood
            over all labels; and "why" in a sentence.
    """

    def __init__(
        self,
        feature_dim: int,
        n_classes: int,
        from_pool: bool = False,
        fingerprint: str | None = None,
        earlier: Collection[str] = (),
        on_earlier: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(feature_dim, n_classes, **options)
        self.from_pool, self.fingerprint, self.earlier = from_pool, fingerprint, frozenset(earlier)
        self.on_earlier = on_earlier
        self.refused: str | None = None
        self.mapped_head = MappedHead(feature_dim, n_classes, name="mapped_head")
        self.meta_: dict[str, Any] = {}

    def use_map(self, matrix: np.ndarray, power: float) -> None:
        """Takes a meta-learner's map: a (d, d) matrix for features raised to a power."""
        self.mapped_head.matrix.assign(matrix)
        self.mapped_head.power.assign(power)

    def map_digest(self) -> str:
        """Returns 64 hexadecimal digits that change with the map."""
        values = [self.mapped_head.matrix.numpy().tobytes(), self.mapped_head.power.numpy().tobytes()]
        return hashlib.sha256(b"".join(values)).hexdigest()

    def call(self, features: Any) -> Any:
        """See the class."""
        return self.mapped_head(features, super().call(features))

    @property
    def learns_from_pool(self) -> bool:
        """Whether `fit` takes a pool; see `tfautolabel.heads.contract`."""
        return self.from_pool and self.solves_itself

    def forget(self) -> None:
        """Drops what a fit has learnt besides the linear head; the map stays."""
        super().forget()
        self.mapped_head.forget()

    def served(self) -> keras.Model:
        """Returns the model to export, with the same weights: it holds the map only if that has a share."""
        if float(self.mapped_head.share) > 0.0:
            return self
        features = keras.Input((self.feature_dim,), name="features")
        rows = self.normalization(features)
        return keras.Model(features, self.pool_heads(rows, self.dense(rows)), name=self.name)

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """Trains both heads and weighs them; see `AutoHead.fit`."""
        self.meta_ = not_used("only the linear head's own solver can weigh it")
        return super().fit(x, y, **options)

    def _learn(self, examples: Examples, pool: np.ndarray | None = None) -> Any:
        history = super()._learn(examples, pool if self.from_pool else None)
        if self.refused is not None:
            self.meta_ = not_used(self.refused)
            return history
        if self.pool_.get("class_shares") is not None:
            self.meta_ = not_used("classes have other shares in the pool than among the labels")
            return history
        judged = examples.judged
        if judged.sum() < LEAST_LABELS:
            self.meta_ = not_used(
                f"{judged.sum()} held-out labels, of classes with two labels or more, say too little of its "
                f"worth: {LEAST_LABELS} or more must judge it"
            )
            return history
        model = self._solved(keras.ops.convert_to_numpy(self.mapped_head.mapped(examples.features)), examples)
        plain = self.out_of_fold_[examples.order]
        shares, exponents, average = mixed_by_evidence(
            [plain, np.asarray(model.out_of_fold)],
            examples.class_ids,
            examples.folds,
            examples.weights * judged,
        )
        self.meta_ = _worth(plain[judged], average[judged], examples.class_ids[judged], float(shares[1]))
        if not self.meta_["used"]:
            return history
        self.mapped_head.kernel.assign(model.weights)
        self.mapped_head.bias.assign(model.bias)
        self.mapped_head.share.assign(shares[1])
        self.mapped_head.exponents.assign(exponents)
        self.out_of_fold_ = average[np.argsort(examples.order)]
        return self._history(self(examples.features), examples.class_ids, average)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal head."""
        of_map: dict[str, Any] = {"fingerprint": self.fingerprint, "earlier": sorted(self.earlier)}
        of_map["on_earlier"] = self.on_earlier
        return {**super().get_config(), "from_pool": self.from_pool} | of_map


def not_used(why: str) -> dict[str, Any]:
    """Returns a head's record of a meta-learner that it does not use."""
    said = f"what earlier tasks taught is not used, because {why}"
    return {"used": False, "share": 0.0, "accuracy": None, "nats": None, "why": said}


def _worth(plain: np.ndarray, average: np.ndarray, class_ids: np.ndarray, share: float) -> dict[str, Any]:
    """Returns the record, by held-out labels that had no say in the weights that judge them."""
    before, after, nats = gain(plain, average, class_ids)
    measured = f"{100.0 * (after - before):+.1f} points and {nats:+.1f} nats on {len(class_ids):,}"
    if share < LEAST_SHARE:
        return not_used(f"held-out labels give it a share of {share:.1%} beside the plain head")
    why = f"what earlier tasks taught has a share of {share:.0%} in the head: {measured} held-out labels"
    found = {"used": True, "share": round(share, 3), "accuracy": round(after - before, 4)}
    return {**found, "nats": round(nats, 2), "why": why}
