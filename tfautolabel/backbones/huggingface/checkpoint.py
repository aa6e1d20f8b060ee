"""Reads a folder that transformers wrote: config.json, weights, and tokenizer or image processor files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from tfautolabel.backbones.formats.safetensors import read_safetensors
from tfautolabel.backbones.formats.torch_checkpoint import read_torch_checkpoint

CONFIG = "config.json"

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""File names of the weights, the preferred one first. Weights may be in shards, listed in an index file."""

_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
"""Names in checkpoints that were converted from TensorFlow 1."""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint folder.

    Attributes:
        folder: the folder.
        config: the content of config.json.
        tensors: the weights by name, read-only. Half-precision weights are widened to float32.
    """

    folder: Path
    config: dict[str, Any]
    tensors: Mapping[str, np.ndarray]

    def json(self, name: str) -> Any | None:
        """Returns the content of another JSON file in the folder, or None if there is no such file.

        Raises:
            ValueError: If it is not JSON.
        """
        return read_json(self.folder / name) if (self.folder / name).is_file() else None


def read_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint folder, without running anything in it.

    Args:
        folder: with config.json and model.safetensors or pytorch_model.bin, in one file or in shards.

    Raises:
        FileNotFoundError: If a file is missing. The message lists the existing files.
        ValueError: If a file cannot be read.
    """
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"a checkpoint's folder must hold {CONFIG}. Received: {_content(folder)}")
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict):
        raise ValueError(f"{CONFIG} must be a JSON object. Received: {type(config).__name__} in {folder}")
    tensors = {
        _current(name): _widened(value)
        for path in _weight_files(folder)
        for name, value in read_tensors(path).items()
    }
    return Checkpoint(folder, config, tensors)


def read_tensors(path: Path) -> Mapping[str, np.ndarray]:
    """Returns the tensors of one file, in either format."""
    return read_safetensors(path) if path.suffix == ".safetensors" else read_torch_checkpoint(path)


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file.

    Raises:
        ValueError: If it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON that can be read: {str(error)[:200]}") from error


def _weight_files(folder: Path) -> Iterable[Path]:
    for name in WEIGHTS:
        if (folder / name).is_file():
            return [folder / name]
        if (folder / f"{name}.index.json").is_file():
            return _shards(folder / f"{name}.index.json")
    raise FileNotFoundError(
        f"a checkpoint's folder must hold its weights as {' or '.join(WEIGHTS)}. Received: {_content(folder)}"
    )


def _shards(index: Path) -> list[Path]:
    listed = read_json(index)
    places = listed.get("weight_map") if isinstance(listed, dict) else None
    # A name that contains a path could point outside the folder.
    names = set(places.values()) if isinstance(places, dict) else set()
    if not names or not all(isinstance(name, str) and PurePath(name).name == name for name in names):
        raise ValueError(
            f"{index} must list each tensor's file in the same folder. Received: {str(places)[:100]}"
        )
    missing = sorted(name for name in names if not (index.parent / name).is_file())
    if missing:
        raise FileNotFoundError(
            f"{index.name} lists {', '.join(missing)}, which must be in the folder. Received: "
            f"{_content(index.parent)}"
        )
    return [index.parent / name for name in sorted(names)]


def _content(folder: Path) -> str:
    """Returns a folder's path and the names in it, for messages."""
    if not folder.is_dir():
        return f"{folder}, which is no folder"
    names = sorted(path.name for path in folder.iterdir())
    return f"{folder} with {', '.join(names[:20]) or 'nothing'}{', …' if len(names) > 20 else ''}"


def _current(name: str) -> str:
    """Returns the name that current versions of transformers write."""
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _widened(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float32) if value.dtype.kind == "f" and value.itemsize < 4 else value
