"""A digest of weights that is computed once for each state of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import keras
import numpy as np

from tfautolabel._tensorflow_internals import memory_of

_Place = tuple[int, str, tuple[int, ...]]


class WeightsDigest:
    """SHA-256 of a network's weights, remembered for as long as none of them can have changed.

    No counter and no flag says that weights were trained: whoever forgot to set it would give old features
    to new weights. Instead the memory is kept that the weights had when they were hashed. TensorFlow never
    writes into memory that somebody else still holds: an update then goes to new memory. So weights that lie
    where they lay are the same weights. Where weights cannot be seen without a copy, on a GPU for instance,
    nothing is remembered.
    """

    def __init__(self) -> None:
        self._described = ""
        self._held: list[np.ndarray] = []
        self._digest: str | None = None

    def of(self, weights: Sequence[keras.Variable], described: str) -> str:
        """64 hexadecimal digits that change with the weights and what is said of them.

        Args:
            weights: of a network, in its order.
            described: what else decides the digest.
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
    """The values of weights, and whether these are views of the weights' own memory, which they keep."""
    views = [memory_of(weight.value) for weight in weights]
    seen = [view for view in views if view is not None]
    return (seen, True) if len(seen) == len(views) else ([weight.numpy() for weight in weights], False)


def _place(value: np.ndarray) -> _Place:
    return value.__array_interface__["data"][0], value.dtype.str, value.shape
