"""Handles of PyTorch modules: parses them, identifies the module's source and builds the module."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel._optional import require
from tfautolabel.backbones.torch_source.extractor import WEIGHT_SUFFIXES

FORM = "torch:PACKAGE.MODULE.CALLABLE or torch:PACKAGE.MODULE:CALLABLE, perhaps with :WEIGHTS"


@dataclass(frozen=True)
class Reference:
    """The parts of a handle.

    Attributes:
        path: the dotted path of a class or function that returns a `torch.nn.Module` when called without
            arguments.
        weights: a file with the module's state_dict, or None for the weights that the callable gives it.
    """

    path: str
    weights: Path | None


def parse(text: str) -> Reference:
    """Parses a handle.

    Args:
        text: the part after `torch:`.

    Raises:
        ValueError: If it does not have the right form, or the name of the weights has no known suffix.
        FileNotFoundError: If there is no such weights file.
    """
    path, _, rest = text.partition(":")
    name, _, behind = rest.partition(":")
    if name.isidentifier():
        path, rest = f"{path}.{name}", behind
    names = path.split(".")
    if len(names) < 2 or not all(part.isidentifier() for part in names):
        raise ValueError(f"a PyTorch module is selected by {FORM}. Received: {text!r}")
    if not rest:
        return Reference(path, None)
    weights = Path(rest).expanduser()
    if weights.suffix not in WEIGHT_SUFFIXES:
        raise ValueError(f"weights are a file that ends in {', '.join(WEIGHT_SUFFIXES)}. Received: {text!r}")
    if not weights.is_file():
        raise FileNotFoundError(f"weights are a file. There is no file {weights}. Received: {text!r}")
    return Reference(path, weights)


def origin(path: str) -> str | None:
    """Returns what identifies the state of a module's source, without running any of its code.

    Args:
        path: dotted.

    Returns:
        The versions of the installed distributions that contain the package. A hash of its source if none
        does or the install is editable. None if the package is not installed.
    """
    package = path.partition(".")[0]
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    names = sorted(set(importlib.metadata.packages_distributions().get(package, ())))
    if names and not _is_editable(names):
        return ", ".join(f"{name}=={importlib.metadata.version(name)}" for name in names)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = sorted(file for folder in folders for file in folder.rglob("*.py"))
    if not files and spec.origin is not None:
        files = [Path(spec.origin)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return f"source {digest.hexdigest()}"


def _is_editable(names: list[str]) -> bool:
    """Returns whether a distribution is an editable install, whose version says little."""
    noted = [importlib.metadata.distribution(name).read_text("direct_url.json") or "" for name in names]
    return any('"editable": true' in text for text in noted)


def build(path: str) -> Any:
    """Imports the object that a path names, which runs its code, and calls it.

    Random weights are the same each time. PyTorch's random state does not change.

    Args:
        path: dotted.

    Returns:
        A `torch.nn.Module`.

    Raises:
        ValueError: If it does not name an object that returns such a module when called without arguments.
    """
    torch = require("torch", extra="torch")
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(0)
        made = _find(path)
        if not isinstance(made, torch.nn.Module):
            if not callable(made):
                raise ValueError(
                    f"torch: is followed by the path of a callable. Received: {path!r}, which is "
                    f"{type(made).__name__}"
                )
            try:
                made = made()
            except TypeError as error:
                raise ValueError(
                    f"{path} must give a module when it is called with nothing: {error}; write a function "
                    "without arguments that gives it"
                ) from error
    if not isinstance(made, torch.nn.Module):
        raise ValueError(f"{path} must give a torch.nn.Module. Received: {type(made).__name__}")
    return made


def _find(path: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # An installed module that lacks one of its own dependencies is a different error.
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise ValueError(
            f"{module} must be a module that Python finds: installed, or in a folder of PYTHONPATH. "
            f"Received: {path!r}"
        ) from error
    if not hasattr(found, name):
        raise ValueError(f"{module} has no {name}. Received: {path!r}")
    return getattr(found, name)
