"""What every fit of a labeler starts from: the first weights of its head and of a tuned backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfautolabel.training.first_state import FirstState
from tfautolabel.training.parameters import Snapshot


class Start:
    """Puts a head and a backbone back to where they were before the first fit.

    Args:
        head: as it is before it was trained.
        values: its weights at that moment; by default the present ones.

    Attributes:
        head_weights: the arrays of the head's weights.
        backbone: the weights of the backbone before it was tuned; None if it was not.
    """

    def __init__(self, head: keras.Model, values: Sequence[np.ndarray] | None = None) -> None:
        self.head_weights = [weight.numpy() for weight in head.variables] if values is None else [*values]
        self.backbone: Snapshot | None = None
        self._head = head
        self._state: tuple[Any, FirstState] | None = None

    def restart_head(self) -> None:
        """Puts the head and its optimizer back."""
        for variable, value in zip(self._head.variables, self.head_weights, strict=False):
            variable.assign(value)
        if self._state is None or self._state[0] is not self._head.optimizer:
            self._state = self._head.optimizer, FirstState(self._head)
        self._state[1].restore()

    def restart_backbone(self) -> bool:
        """Puts a tuned backbone back; returns whether it was tuned."""
        if self.backbone is None:
            return False
        self.backbone.restore()
        self.backbone = None
        return True
