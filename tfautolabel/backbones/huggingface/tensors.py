"""Gives a checkpoint's tensors by name, without the prefix, and its required settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class NamedTensors:
    """The tensors of one model in a checkpoint.

    A checkpoint of a model with a head puts a prefix before all names, such as "vit." or "model.".

    Args:
        tensors: all tensors of the checkpoint by name.
        mark: a name in the model without a head. The text before it is the prefix of all other names.

    Raises:
        ValueError: If no name ends in the mark, or if a tensor is missing.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], mark: str) -> None:
        found = min((name for name in tensors if name.endswith(mark)), key=len, default=None)
        if found is None:
            raise ValueError(
                f"the checkpoint must hold a tensor {mark!r}. Received: {len(tensors)} tensors of other names"
            )
        self._tensors, self._prefix = tensors, found.removesuffix(mark)

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def __getitem__(self, name: str) -> np.ndarray:
        try:
            return self._tensors[self._prefix + name]
        except KeyError:
            raise ValueError(
                f"the checkpoint must hold a tensor {self._prefix + name!r}. Received: none of that name"
            ) from None

    def pair(self, name: str) -> list[np.ndarray]:
        """Returns the weight and the bias of a norm."""
        return [self[f"{name}.weight"], self[f"{name}.bias"]]

    def dense(self, *names: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns kernel and bias of dense layers, concatenated. A missing bias is zeros.

        Returns:
            (inputs, outputs) and (outputs,) float32.
        """
        kernels = [np.asarray(self[f"{name}.weight"], np.float32).T for name in names]
        biases = [
            np.asarray(self[f"{name}.bias"], np.float32)
            if f"{name}.bias" in self
            else np.zeros(kernel.shape[1], np.float32)
            for name, kernel in zip(names, kernels, strict=True)
        ]
        return np.concatenate(kernels, axis=1), np.concatenate(biases)


def setting(config: Mapping[str, Any], name: str, file: str = "config.json") -> Any:
    """Returns a value that a checkpoint's JSON file must have.

    Raises:
        ValueError: If the value is missing.
    """
    if config.get(name) is None:
        raise ValueError(f"{file} must say {name!r}. Received: {sorted(config)}")
    return config[name]


def preprocessor_settings(settings: dict[str, Any] | None) -> dict[str, Any]:
    """Returns the content of preprocessor_config.json.

    It decides what the network gets as input, so it is never guessed.

    Raises:
        ValueError: If the checkpoint has no such file.
    """
    if settings is None:
        raise ValueError(
            "a checkpoint for pictures or sound must hold preprocessor_config.json, which says how inputs "
            "are scaled. Received: a checkpoint without it"
        )
    return settings
