"""Loads backbones from PyTorch modules, converted once to a SavedModel that only needs TensorFlow.

`torch_source` has its own converter, because those in the package index do not fit. onnx2tf pins another
TensorFlow and NumPy. nobuco imports parts of Keras 2. litert-torch installs gigabytes, and its TFLite files
have a fixed number of pictures and weights that cannot be fine-tuned.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._optional import require
from tfautolabel.backbones.backbone import Backbone, saved_model_network
from tfautolabel.backbones.torch_source import cache
from tfautolabel.backbones.torch_source.exported import Exported, export
from tfautolabel.backbones.torch_source.extractor import extractor
from tfautolabel.backbones.torch_source.network import Network
from tfautolabel.backbones.torch_source.parity import compare
from tfautolabel.backbones.torch_source.references import FORM, Reference, build, origin, parse
from tfautolabel.preprocessors import ImagePreprocessor

VERSION = 1
"""Increased when the conversion of a module changes, so that modules are converted again."""

DEFAULT_SIZE = 224
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""torchvision's usual values, for a module that does not state its own. timm's modules state them."""


def load_torch_module(
    module: object,
    *,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    keep_head: bool = False,
) -> Backbone:
    """Returns a backbone from a PyTorch module for pictures.

    The module takes (n, 3, size, size) and gives (n, d), or (n, c, h, w), which is averaged over h and w. A
    classifier loses its last layer, see `without_head`. The module is exported in evaluation mode, converted
    to TensorFlow, compared with PyTorch on noise and on pictures, and kept in the cache folder. The same
    module is not converted twice. Its weights are variables, so it can be fine-tuned. Batch norms keep their
    learnt statistics.

    The cache key of a handle consists of the handle, its options, the weights file's content and the version
    (or the source) of the package that it names. So a machine with a copy of the cache needs neither PyTorch
    nor a network connection. If the package is not installed, the latest conversion is used.

    Args:
        module: a `torch.nn.Module`, or a string "PACKAGE.MODULE.CALLABLE" or "PACKAGE.MODULE:CALLABLE",
            optionally with ":WEIGHTS". Importing the module and calling the named object runs its code: load
            only what you trust. WEIGHTS is a state_dict as .safetensors, or as .pt, .pth or .bin, which are
            read without unpickling. Without WEIGHTS, the module has the weights that the callable gives it.
        size: side of the pictures in pixels. By default the size in the module's `pretrained_cfg` or
            `default_cfg` (timm's convention), else 224.
        mean: one value per channel, for pixels in [0, 1]. The default is found as for `size`, else
            ImageNet's.
        std: standard deviation per channel, like `mean`.
        keep_head: whether to use the classifier's scores as features.

    Returns:
        The backbone, frozen.

    Raises:
        ValueError: If the handle or an option is not valid, the weights do not fit, or the module cannot be
            exported or uses an operation that has no counterpart in TensorFlow here.
        FileNotFoundError: If there is no such weights file.
        RuntimeError: If the converted module does not compute what PyTorch computes; nothing is cached then.
        MissingExtraError: If PyTorch is needed and not installed.
    """
    options = _options(size, mean, std, keep_head)
    if isinstance(module, str):
        reference = parse(module)
        handle, key, record = f"torch:{module}", *_by_reference(reference, options)
    else:
        torch = require("torch", extra="torch")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"a PyTorch module is a torch.nn.Module or a string {FORM}. Received: {type(module).__name__}"
            )
        handle = f"torch:{type(module).__module__}.{type(module).__qualname__}"
        key, record = _by_module(module, options)
    network = saved_model_network(cache.folder_of(key) / cache.MODULE, record["size"])
    network.trainable = False
    return Backbone(handle, ImagePreprocessor(record["size"]), network, record["architecture"])


def _options(
    size: int | None, mean: Sequence[float] | None, std: Sequence[float] | None, keep_head: bool
) -> dict[str, Any]:
    """Returns the options in a form that JSON can hold.

    Raises:
        ValueError: If one is not valid.
    """
    if size is not None and (not isinstance(size, int) or size < 1):
        raise ValueError(f"size must be a whole number of pixels, 1 or more. Received: size={size!r}")
    for name, given in (("mean", mean), ("std", std)):
        if given is None:
            continue
        values = np.asarray(given, np.float64)
        if values.shape != (3,) or not np.isfinite(values).all() or (name == "std" and values.min() <= 0):
            least = ", above 0" if name == "std" else ""
            raise ValueError(
                f"{name} must be three numbers, one a channel{least}. Received: {name}={given!r}"
            )
    return {
        "size": size,
        "mean": None if mean is None else [float(value) for value in mean],
        "std": None if std is None else [float(value) for value in std],
        "keep_head": bool(keep_head),
    }


def _by_reference(reference: Reference, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the key and the record of a handle's conversion, and converts the module if needed."""
    weights = reference.weights and cache.file_digest(reference.weights)
    request = cache.digest(VERSION, reference.path, weights, options)
    source = origin(reference.path)
    key = cache.newest(f"{request}-") if source is None else f"{request}-{cache.digest(source)}"
    record = cache.read(key) if key is not None else None
    if key is not None and record is not None:
        return key, record
    require("torch", extra="torch")
    module = build(reference.path)
    key = f"{request}-{cache.digest(source)}"
    noted = {"path": reference.path, "source": source, "weights": weights}
    return key, _convert(key, module, options, reference.weights, noted)


def _by_module(module: object, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the key and the record of a module's conversion. It always exports, and converts if needed."""
    features, head = extractor(module, options["keep_head"])
    settings = _settings(module, options)
    exported = export(features, settings["size"])
    states = sorted((state.name, cache.array_digest(state.value)) for state in exported.states.values())
    key = cache.digest(VERSION, exported.architecture, states, settings)
    record = cache.read(key)
    if record is None:
        record = _write(key, features, exported, {**settings, "head": head, "weights": cache.digest(states)})
    return key, record


def _convert(
    key: str, module: object, options: dict[str, Any], weights: Path | None, noted: dict[str, Any]
) -> dict[str, Any]:
    features, head = extractor(module, options["keep_head"], weights)
    settings = _settings(module, options)
    return _write(key, features, export(features, settings["size"]), {**settings, "head": head, **noted})


def _write(key: str, features: object, exported: Exported, noted: dict[str, Any]) -> dict[str, Any]:
    """Converts a module, compares it with PyTorch, and keeps it only if it agrees."""

    def convert(folder: Path) -> dict[str, Any]:
        Network(exported, noted["mean"], noted["std"]).save(folder, noted["size"])
        found = compare(features, folder, noted["size"], noted["mean"], noted["std"])
        scaling = cache.digest(noted["mean"], noted["std"])
        return {
            **noted,
            **found,
            "architecture": f"torch:{VERSION}:{exported.architecture}:{scaling}",
            "torch": importlib.metadata.version("torch"),
            "tensorflow": importlib.metadata.version("tensorflow"),
            "converter": VERSION,
        }

    return cache.write(key, convert)


def _settings(module: object, options: dict[str, Any]) -> dict[str, Any]:
    """Returns size, mean and deviation: the given values, else the module's own, else the usual ones."""
    said = _said(module)
    size = options["size"] or int((said.get("input_size") or (3, DEFAULT_SIZE))[-1])
    mean = options["mean"] or [float(value) for value in said.get("mean") or IMAGENET_MEAN]
    std = options["std"] or [float(value) for value in said.get("std") or IMAGENET_STD]
    return {"size": size, "mean": mean, "std": std, "keep_head": options["keep_head"]}


def _said(module: object) -> Mapping[str, Any]:
    """Returns what a module states about its training pictures, or an empty dictionary."""
    for name in ("pretrained_cfg", "default_cfg"):
        found = getattr(module, name, None)
        if isinstance(found, Mapping) and found:
            return found
    return {}
