"""The start of every fit of a labeler: the initial weights of its head and of a tuned backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfautolabel.heads import AutoHead
from tfautolabel.training.first_state import FirstState
from tfautolabel.training.parameters import Snapshot


class Start:
    """Resets a head and a backbone to their state before the first fit.

    Args:
        head: the head, before training unless `values` are given.
        values: its weights before training; by default its current weights.

    Attributes:
        head_weights: the arrays of the head's weights.
        backbone: the weights of the backbone before it was tuned; None if it was not tuned.
    """

    def __init__(self, head: keras.Model, values: Sequence[np.ndarray] | None = None) -> None:
        self.head_weights = [weight.numpy() for weight in head.variables] if values is None else [*values]
        self.backbone: Snapshot | None = None
        self._head = head
        self._state: tuple[Any, FirstState] | None = None

    def restart_head(self) -> None:
        """Resets the head and its optimizer."""
        if isinstance(self._head, AutoHead):
            # It makes variables as it learns; those of before the first fit are the others.
            self._head.forget()
        for variable, value in zip(self._head.variables, self.head_weights, strict=False):
            variable.assign(value)
        if self._state is None or self._state[0] is not self._head.optimizer:
            self._state = self._head.optimizer, FirstState(self._head)
        self._state[1].restore()

    def restart_backbone(self) -> bool:
        """Resets a tuned backbone; returns whether it was tuned."""
        if self.backbone is None:
            return False
        self.backbone.restore()
        self.backbone = None
        return True
