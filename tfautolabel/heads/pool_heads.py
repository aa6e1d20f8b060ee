"""The part of a model that averages several heads that a pool has informed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfautolabel.heads.averaging import Averaging
from tfautolabel.heads.covariance_power import POWERS
from tfautolabel.heads.neighbours import passed_to, seen_from, smoothed
from tfautolabel.heads.normalization import unit_rows
from tfautolabel.heads.pool_fit import HEADS_OF_POOL, PASSED_FROM, FittedHeads

_OF_ANCHORS = ("centre", "near", "reach", "smooth", "carried")


@keras.saving.register_keras_serializable("tfautolabel")
class PoolHeads(Averaging):
    """Averages a head with others that a pool informs, on features of length one; see `Averaging`.

    Before it has learnt anything it gives what the head gives, and has no variables.

    Args:
        feature_dim: d.
        n_classes: k.
        anchors: m, how many rows of a pool it compares examples with; none with 0. None if it has learnt
            nothing.
        **options: options of `keras.layers.Layer`.
    """

    def __init__(self, feature_dim: int, n_classes: int, anchors: int | None = None, **options: Any) -> None:
        super().__init__(feature_dim, n_classes, **options)
        self.anchors: int | None = None
        if anchors is not None:
            self._make_room(anchors)
        self.built = True

    def _make_room(self, anchors: int) -> None:
        """Adds the variables; before there is a pool, nobody knows how many anchors there are."""
        for name, shape in self._shapes(anchors).items():
            setattr(self, name, self._weight(name, shape))
        self.anchors = anchors

    def _shapes(self, anchors: int) -> dict[str, tuple[int, ...]]:
        d, k = self.feature_dim, self.n_classes
        heads, linear = len(HEADS_OF_POOL), len(HEADS_OF_POOL) - len(PASSED_FROM) - 1
        found: dict[str, tuple[int, ...]] = {
            "shares": (heads,),
            "exponents": (heads,),
            "factors": (k,),
            "directions": (d, d),
            "scales": (len(POWERS), d),
            "kernels": (linear, d, k),
            "biases": (linear, k),
        }
        of_anchors = ((d,), (anchors, d), (anchors,), (anchors, d), (len(PASSED_FROM), anchors, k))
        return found | dict(zip(_OF_ANCHORS, of_anchors, strict=True)) if anchors else found

    def forget(self) -> None:
        """Drops everything learnt."""
        if self.anchors is not None:
            for name in self._shapes(self.anchors):
                delattr(self, name)
        self.anchors = None

    def take(self, fitted: FittedHeads, shares: np.ndarray, exponents: np.ndarray) -> None:
        """Takes over fitted heads.

        Args:
            fitted: c heads, those that need no neighbours or all.
            shares: (c,), they sum to 1.
            exponents: (c,) > 0, by which each head's probabilities are raised.
        """
        self.forget()
        self._make_room(0 if fitted.anchors is None else len(fitted.anchors.near))
        self.factors.assign(np.ones(self.n_classes, np.float32))
        count = len(shares)
        self.shares.assign(np.pad(shares, (0, len(HEADS_OF_POOL) - count)))
        self.exponents.assign(np.pad(exponents, (0, len(HEADS_OF_POOL) - count), constant_values=1.0))
        self.directions.assign(fitted.axes.directions)
        self.scales.assign(np.stack([fitted.axes.shares**power for power in POWERS]))
        kernels, biases = self.kernels.numpy(), self.biases.numpy()
        for number, model in enumerate(fitted.models[1:]):
            kernels[number], biases[number] = model.weights, model.bias
        self.kernels.assign(kernels)
        self.biases.assign(biases)
        if fitted.anchors is None:
            return
        for name in _OF_ANCHORS:
            value = fitted.carried if name == "carried" else getattr(fitted.anchors, name)
            getattr(self, name).assign(value)

    def call(self, features: Any, plain: Any) -> Any:
        """See the class."""
        if self.anchors is None:
            return plain
        views = [self._scaled(features, number) for number in range(len(POWERS))]
        places = weights = None
        if self.anchors:
            places, weights = seen_from(features, self.centre, self.near, self.reach)
            near = smoothed(features, places, weights, self.smooth)
            views += [near, self._scaled(near, len(POWERS) - 1)]
        found = [plain]
        for number, rows in enumerate(views):
            found.append(ops.softmax(ops.matmul(rows, self.kernels[number]) + self.biases[number], axis=-1))
        if self.anchors:
            for number, place in enumerate(PASSED_FROM):
                found.append(passed_to(found[place], places, weights, self.carried[number]))
        total = self.average(found, self.shares, self.exponents) * self.factors
        return total / ops.sum(total, axis=-1, keepdims=True)

    def _scaled(self, features: Any, number: int) -> Any:
        return unit_rows(ops.matmul(features, self.directions) * self.scales[number])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "anchors": self.anchors}
