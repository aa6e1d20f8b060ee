"""Further ways to scale features before a head, for tuning."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfautolabel.heads.linear import LinearHead
from tfautolabel.heads.normalization import SMALL, PowerNormalization, unit_rows

SCALINGS = ("power", "length", "centred", "standard")
"""The kinds of `FeatureScaling`; "power" is the default of heads."""


@keras.saving.register_keras_serializable("tfautolabel")
class FeatureScaling(PowerNormalization):
    """Scales features in one of several ways; each ends with rows of length one.

    Subtracting the mean before scaling to length one is CL2N of Wang et al., SimpleShot, 2019 (arXiv
    1911.04623). Dividing by the standard deviation too gives every feature the same weight.

    Args:
        kind: one of `SCALINGS`: "power" as `PowerNormalization`; "length" without the power; "centred" with
            power and the mean taken off; "standard" also divided by the standard deviation.
        feature_dim: d.
        **options: options of `keras.layers.Layer`.

    Call arguments:
        features: (n, d) float32.

    Returns:
        (n, d) float32, rows of length one.

    Raises:
        ValueError: If the kind is unknown.
    """

    def __init__(self, kind: str, feature_dim: int, **options: Any) -> None:
        if kind not in SCALINGS:
            raise ValueError(f"kind must be one of {', '.join(SCALINGS)}. Received: kind={kind!r}")
        super().__init__(**options)
        self.kind, self.feature_dim = kind, feature_dim
        shape = (feature_dim,) if kind in ("centred", "standard") else ()
        self.centre = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="centre")
        self.spread = self.add_weight(shape=shape, initializer="ones", trainable=False, name="spread")

    def adapt(self, features: np.ndarray) -> None:
        """Learns power, mean and standard deviation from (n, d) training features."""
        if self.kind == "length":
            return
        super().adapt(features)
        if self.kind == "power":
            return
        raised = np.sign(features) * (np.abs(features) + SMALL) ** float(self.power)
        self.centre.assign(raised.mean(axis=0))
        if self.kind == "standard":
            spread = raised.std(axis=0)
            # Division would turn a feature that hardly varies into noise.
            self.spread.assign(np.maximum(spread, 0.1 * spread.mean() + 1e-6))

    def call(self, features: Any) -> Any:
        """See the class."""
        if self.kind in ("power", "length"):
            return super().call(features)
        raised = ops.sign(features) * ops.power(ops.abs(features) + SMALL, self.power)
        return unit_rows((raised - self.centre) / self.spread)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal layer."""
        return {**super().get_config(), "kind": self.kind, "feature_dim": self.feature_dim}


@keras.saving.register_keras_serializable("tfautolabel")
class ScaledLinearHead(LinearHead):
    """The linear head on features that are scaled in one of several ways.

    Args:
        feature_dim: d.
        n_classes: k.
        scaling: one of `SCALINGS`.
        **options: options of `LinearHead`.
    """

    def __init__(self, feature_dim: int, n_classes: int, scaling: str = "power", **options: Any) -> None:
        normalization = FeatureScaling(scaling, feature_dim, name="normalization")
        super().__init__(feature_dim, n_classes, normalization=normalization, **options)
        self.scaling = scaling

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make an equal head."""
        return {**super().get_config(), "scaling": self.scaling}
