"""Imports that only some users need: a missing one names the command that installs it."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

MODULES = {
    "text": ("tensorflow_text",),
    "audio": ("soundfile",),
    "excel": ("openpyxl",),
    "pictures": ("pillow_heif",),
    "medical": ("pydicom",),
    "kaggle": ("kagglehub",),
    "hf": ("huggingface_hub",),
    "kerashub": ("keras_hub", "tensorflow_text"),
    "torch": ("torch",),
    "tflite": ("ai_edge_litert",),
    "onnx": ("onnx", "onnxruntime", "tf2onnx"),
    "serve": ("uvicorn", "httptools", "orjson", "prometheus_client"),
}
"""The modules that each extra brings."""


class MissingExtraError(ImportError):
    """An optional package is not installed."""


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional module.

    Args:
        module: the module's dotted name.
        extra: the extra of tfautolabel that installs it.

    Returns:
        The module.

    Raises:
        MissingExtraError: If it is not installed; the message is the pip command that installs it.

    Examples:
        >>> require("json", extra="text").__name__
        'json'
        >>> require("no_module", extra="text")
        Traceback (most recent call last):
        ...
        tfautolabel._optional.MissingExtraError: no_module is needed here: pip install "tfautolabel[text]"
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A module that is there but lacks a dependency of its own is another mistake, with another remedy.
        wanted = error.name is not None and (module == error.name or module.startswith(error.name + "."))
        if not wanted:
            raise
        raise MissingExtraError(
            f'{module} is needed here: pip install "tfautolabel[{extra}]"', name=module
        ) from error


def is_installed(extra: str) -> bool:
    """Whether the modules that an extra brings are there; nothing is imported."""
    return all(importlib.util.find_spec(module) is not None for module in MODULES[extra])
