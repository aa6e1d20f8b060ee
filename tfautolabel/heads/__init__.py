"""Heads: Keras models from features to class probabilities."""

from __future__ import annotations

from collections.abc import Callable

import keras

from tfautolabel.heads.auto import AutoHead
from tfautolabel.heads.linear import LinearHead
from tfautolabel.heads.mlp import mlp_head
from tfautolabel.heads.scaled import ScaledLinearHead

__all__ = ["HEADS", "AutoHead", "LinearHead", "ScaledLinearHead", "build_head", "mlp_head"]


def _linear(feature_dim: int, n_classes: int, seed: int) -> keras.Model:
    head = LinearHead(feature_dim, n_classes, seed=seed, name="linear_head")
    head.compile()
    return head


def _auto(feature_dim: int, n_classes: int, seed: int) -> keras.Model:
    head = AutoHead(feature_dim, n_classes, seed=seed, name="auto_head")
    head.compile()
    return head


HEADS: dict[str, Callable[[int, int, int], keras.Model]] = {
    "linear": _linear,
    "auto": _auto,
    "mlp": mlp_head,
}
"""Name to a function of (feature_dim, n_classes, seed) that returns a compiled head."""


def build_head(name: str, feature_dim: int, n_classes: int, seed: int = 0) -> keras.Model:
    """Builds a head by name.

    Args:
        name: a key of `HEADS`.
        feature_dim: d, the length of a feature vector.
        n_classes: k, at least 2.
        seed: determines everything random about the head.

    Returns:
        A compiled model from (n, d) float32 features to (n, k) probabilities.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in HEADS:
        raise ValueError(f"a head is one of {sorted(HEADS)} or a keras.Model. Received: {name!r}")
    return HEADS[name](feature_dim, n_classes, seed)
