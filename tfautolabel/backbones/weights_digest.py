"""Computes a digest of weights once for each state of the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import keras
import numpy as np

from tfautolabel._tensorflow_internals import memory_of

_Place = tuple[int, str, tuple[int, ...]]


class WeightsDigest:
    """The SHA-256 of a network's weights, remembered until a weight may have changed.

    There is no flag or counter for training: code that forgot to set it would give old features to new
    weights. Instead, this keeps a reference to the memory of the hashed weights. TensorFlow never writes into
    memory that has another reference; it puts the update into new memory. So weights at the same address are
    the same weights. If weights cannot be seen without a copy, for example on a GPU, nothing is remembered.
    """

    def __init__(self) -> None:
        self._described = ""
        self._held: list[np.ndarray] = []
        self._digest: str | None = None

    def of(self, weights: Sequence[keras.Variable], described: str) -> str:
        """Returns 64 hexadecimal digits that change with the weights and their description.

        Args:
            weights: a network's weights, in its order.
            described: a description that also decides the digest.
        """
        values, are_views = _values(weights)
        if (
            self._digest is not None
            and described == self._described
            and list(map(_place, values)) == list(map(_place, self._held))
        ):
            return self._digest
        digest = hashlib.sha256(described.encode())
        for value in values:
            whole = np.ascontiguousarray(value)
            digest.update(f"{value.dtype.str}{value.shape}".encode())
            digest.update(whole.reshape(-1).view(np.uint8).data)
        found = digest.hexdigest()
        self._described, self._held, self._digest = (
            (described, values, found) if are_views else ("", [], None)
        )
        return found


def _values(weights: Sequence[keras.Variable]) -> tuple[list[np.ndarray], bool]:
    """Returns the weights' values, and whether they are views that hold the weights' own memory."""
    views = [memory_of(weight.value) for weight in weights]
    seen = [view for view in views if view is not None]
    return (seen, True) if len(seen) == len(views) else ([weight.numpy() for weight in weights], False)


def _place(value: np.ndarray) -> _Place:
    return value.__array_interface__["data"][0], value.dtype.str, value.shape
