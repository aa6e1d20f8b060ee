"""Resets a head, so that training never continues from weights that have seen the held-out examples."""

from __future__ import annotations

import keras


class FirstState:
    """The values of a compiled head and of its optimizer at one moment.

    Args:
        head: compiled and built.
    """

    def __init__(self, head: keras.Model) -> None:
        if not head.optimizer.built:
            head.optimizer.build(head.trainable_variables)
        variables = [*head.variables, *head.optimizer.variables]
        self._values = [(variable, variable.numpy()) for variable in variables]

    def restore(self) -> None:
        """Restores all values."""
        for variable, value in self._values:
            variable.assign(value)
