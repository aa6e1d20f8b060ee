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

    Before it has learnt anything, all weight is on the head that it gets.

    Args:
        feature_dim: d.
        n_classes: k.
        anchors: m, how many rows of a pool it compares examples with; none with 0.
        **options: options of `keras.layers.Layer`.
    """

    def __init__(self, feature_dim: int, n_classes: int, anchors: int = 0, **options: Any) -> None:
        super().__init__(feature_dim, n_classes, **options)
        self.anchors = 0
        heads, linear = len(HEADS_OF_POOL), len(HEADS_OF_POOL) - len(PASSED_FROM) - 1
        self.shares = self._weight("shares", (heads,))
        self.exponents = self._weight("exponents", (heads,))
        self.factors = self._weight("factors", (n_classes,))
        self.directions = self._weight("directions", (feature_dim, feature_dim))
        self.scales = self._weight("scales", (len(POWERS), feature_dim))
        self.kernels = self._weight("kernels", (linear, feature_dim, n_classes))
        self.biases = self._weight("biases", (linear, n_classes))
        self.forget()
        if anchors:
            self._make_room(anchors)
        self.built = True

    def _make_room(self, anchors: int) -> None:
        """Adds variables for so many anchors; their number is only known when there is a pool."""
        d, k = self.feature_dim, self.n_classes
        shapes = ((d,), (anchors, d), (anchors,), (anchors, d), (len(PASSED_FROM), anchors, k))
        for name, shape in zip(_OF_ANCHORS, shapes, strict=True):
            setattr(self, name, self._weight(name, shape))
        self.anchors = anchors

    def forget(self) -> None:
        """Puts all weight on the head that the layer gets."""
        if self.anchors:
            for name in _OF_ANCHORS:
                delattr(self, name)
        self.anchors = 0
        self.shares.assign(np.eye(1, len(HEADS_OF_POOL), dtype=np.float32)[0])
        self.exponents.assign(np.ones(len(HEADS_OF_POOL), np.float32))
        self.factors.assign(np.ones(self.n_classes, np.float32))

    def take(self, fitted: FittedHeads, shares: np.ndarray, exponents: np.ndarray) -> None:
        """Takes over fitted heads.

        Args:
            fitted: c heads, those that need no neighbours or all.
            shares: (c,), they sum to 1.
            exponents: (c,) > 0, by which each head's probabilities are raised.
        """
        self.forget()
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
        self._make_room(len(fitted.anchors.near))
        for name in _OF_ANCHORS:
            value = fitted.carried if name == "carried" else getattr(fitted.anchors, name)
            getattr(self, name).assign(value)

    def call(self, features: Any, plain: Any) -> Any:
        """See the class."""
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
