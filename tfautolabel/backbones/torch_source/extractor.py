"""Makes a feature extractor of a PyTorch classifier, with checked weights."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._optional import require
from tfautolabel.backbones.formats.safetensors import read_safetensors
from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint

HEADS = ("fc", "_fc", "classifier", "head", "heads", "last_linear")
"""Names that torchvision, timm and others use for the classifier layer, or for a sequence that ends in it."""

WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
"""The first is read as safetensors, the others as a state_dict that torch.save wrote."""

PREFIXES = ("state_dict.", "model_state_dict.", "model.", "module.")
"""Prefixes that training programs put before the names in a state_dict. Several can be combined."""


def without_head(module: Any) -> tuple[Any, str]:
    """Returns a copy of a classifier that gives the input of its last layer.

    timm's models do this themselves (`reset_classifier`). In other models, the last `Linear` of an attribute
    named in `HEADS` becomes an identity.

    Args:
        module: a `torch.nn.Module`.

    Returns:
        The copy, and the dotted name of the removed layer, which is empty if there is none.
    """
    nn = require("torch", extra="torch").nn
    module = copy.deepcopy(module)
    if callable(getattr(module, "reset_classifier", None)):
        module.reset_classifier(0)
        return module, "reset_classifier"
    for name in HEADS:
        path = _last_linear(getattr(module, name, None), name)
        if path:
            parent, _, leaf = path.rpartition(".")
            setattr(module.get_submodule(parent), leaf, nn.Identity())
            return module, path
    return module, ""


def _last_linear(part: Any, path: str) -> str:
    """Returns the dotted name of a linear layer, or of the linear layer at the end of a sequence."""
    nn = require("torch", extra="torch").nn
    if isinstance(part, nn.Linear):
        return path
    if isinstance(part, nn.Sequential):
        for name, child in reversed(list(part.named_children())):
            if isinstance(child, (nn.Sequential, nn.Linear)):
                return _last_linear(child, f"{path}.{name}")
            if list(child.parameters()):
                return ""
    return ""


def load_weights(module: Any, file: str | os.PathLike[str], original: Any) -> None:
    """Loads a file's weights into a module. It changes nothing unless the weights fit.

    Args:
        module: a `torch.nn.Module`, with or without its head.
        file: a state_dict as .safetensors, or as .pt, .pth or .bin, which are read without unpickling.
        original: the module with its head. The file may hold the head's tensors too. Their shapes may differ,
            because the head may be for other classes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or the weights do not fit.
    """
    torch = require("torch", extra="torch")
    tensors = read_weights(file)
    wanted = module.state_dict()
    # A batch norm counts its steps. The count does not affect features, and old checkpoints lack it.
    needed = {name for name in wanted if not name.endswith("num_batches_tracked")}
    prefix = _prefix(tensors, needed)
    found = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    missing = sorted(needed - set(found))
    if missing:
        raise ValueError(
            f"{file} must hold the weights of {type(original).__name__}; it lacks {_some(missing)}. "
            f"Received: {_some(sorted(tensors))}"
        )
    for name in sorted(needed):
        if found[name].shape != tuple(wanted[name].shape):
            raise ValueError(
                f"{name} in {file} must have the shape {tuple(wanted[name].shape)} for "
                f"{type(original).__name__}. Received: {found[name].shape}"
            )
    unknown = sorted(set(found) - set(wanted) - set(original.state_dict()))
    if unknown:
        raise ValueError(
            f"{file} may hold only tensors that {type(original).__name__} has a place for. "
            f"Received: {_some(unknown)}"
        )
    # NumPy's arrays may be read-only views of the file, but PyTorch needs writable memory.
    fitting = {name: torch.from_numpy(np.array(found[name])) for name in wanted if name in found}
    module.load_state_dict(fitting, strict=False)


def read_weights(file: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the tensors of a weights file by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a weights file or cannot be read.
    """
    path = Path(file).expanduser()
    if path.suffix not in WEIGHT_SUFFIXES:
        raise ValueError(f"weights are a file that ends in {', '.join(WEIGHT_SUFFIXES)}. Received: {file}")
    if not path.is_file():
        raise FileNotFoundError(f"weights are a file. There is no file {path}")
    return read_safetensors(path) if path.suffix == WEIGHT_SUFFIXES[0] else read_torch_checkpoint(path)


def _prefix(tensors: Mapping[str, Any], needed: set[str]) -> str:
    """Returns the prefix before every needed name."""
    prefixes = [""]
    for _ in PREFIXES:
        for prefix in prefixes:
            if needed and all(prefix + name in tensors for name in needed):
                return prefix
        prefixes = [prefix + more for prefix in prefixes for more in PREFIXES]
        prefixes = [prefix for prefix in prefixes if any(name.startswith(prefix) for name in tensors)]
    return ""


def _some(names: list[str]) -> str:
    return f"{names[:5]}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def extractor(module: Any, keep_head: bool, weights: str | os.PathLike[str] | None = None) -> tuple[Any, str]:
    """Returns a module from (n, 3, h, w) to one vector per picture, in evaluation mode and float32.

    Args:
        module: a `torch.nn.Module`, which is not changed.
        keep_head: whether to keep the classifier.
        weights: a file, see `load_weights`; by default the module keeps its own.

    Returns:
        The module and the dotted name of the removed head.
    """
    torch = require("torch", extra="torch")

    class Features(torch.nn.Module):  # type: ignore[name-defined]
        """Gives one vector per picture. It averages feature maps over their height and width."""

        def __init__(self, network: Any) -> None:
            super().__init__()
            self.network = network

        def forward(self, pictures: Any) -> Any:
            features = self.network(pictures)
            if not isinstance(features, torch.Tensor) or features.dim() not in (2, 4):
                given = (
                    f"shape {tuple(features.shape)}"
                    if isinstance(features, torch.Tensor)
                    else type(features).__name__
                )
                raise TypeError(f"its result must be one tensor (n, d) or (n, c, h, w). Received: {given}")
            return features.mean((2, 3)) if features.dim() == 4 else features

    inner, head = (copy.deepcopy(module), "") if keep_head else without_head(module)
    if weights is not None:
        load_weights(inner, weights, module)
    # Without a gradient, PyTorch does not need to keep the input of a convolution.
    return Features(inner).float().eval().requires_grad_(False), head
