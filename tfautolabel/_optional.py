"""Imports of optional packages: the error for a missing one names the command that installs it."""

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
    "ray": ("ray",),
    "fast": ("simplejpeg",),
    "serve": ("uvicorn", "httptools", "orjson", "prometheus_client"),
    "grpc": ("grpc", "tensorflow_serving", "grpc_health"),
}
"""The modules that each extra installs."""


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
        MissingExtraError: If the module is not installed; the message is the pip command that installs it.

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
        # If the module exists but lacks a dependency, this is another problem with another solution.
        wanted = error.name is not None and (module == error.name or module.startswith(error.name + "."))
        if not wanted:
            raise
        raise MissingExtraError(
            f'{module} is needed here: pip install "tfautolabel[{extra}]"', name=module
        ) from error


def require_extra(extra: str) -> None:
    """Imports all modules of an extra, so that a missing one is told before anything takes time.

    Raises:
        MissingExtraError: If one is not installed; the message is the pip command that installs it.
    """
    for module in MODULES[extra]:
        require(module, extra)


def is_installed(extra: str) -> bool:
    """Returns whether the modules of an extra are installed; imports nothing."""
    return all(importlib.util.find_spec(module) is not None for module in MODULES[extra])
