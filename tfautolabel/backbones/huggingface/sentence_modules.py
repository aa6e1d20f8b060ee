"""Builds what sentence-transformers adds after an encoder: pooling, dense layers, unit length.

Reimers and Gurevych 2019, arXiv 1908.10084; the files: https://sbert.net/docs/package_reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import keras
from keras import layers

from tfautolabel.backbones.huggingface.checkpoint import Checkpoint, read_json, read_tensors
from tfautolabel.backbones.networks.pooling import TokenPooling, UnitLength

_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The names of the poolings in older versions, in the order in which several are concatenated."""

_ACTIVATIONS = {"Identity": None, "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "Sigmoid": "sigmoid"}
"""Maps torch.nn's classes to Keras's names."""


@dataclass(frozen=True)
class Module:
    """One of the modules after the encoder.

    Attributes:
        kind: "Pooling", "Dense" or "Normalize".
        folder: its folder's name.
        config: its config.json; empty if it has none.
    """

    kind: str
    folder: str
    config: dict[str, Any]


def read_modules(checkpoint: Checkpoint) -> list[Module]:
    """Returns the modules after the encoder in order. A folder that is not sentence-transformers' has none.

    Raises:
        ValueError: If a module's kind is unknown.
    """
    listed = checkpoint.json("modules.json")
    if listed is None:
        return []
    try:
        modules = [
            _module(checkpoint, entry["type"].rpartition(".")[2], entry["path"])
            for entry in sorted(listed, key=lambda entry: entry["idx"])
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"modules.json must list modules with idx, type and path. Received: {str(listed)[:200]}"
        ) from error
    kinds = [module.kind for module in modules]
    known = kinds[:2] == ["Transformer", "Pooling"] and set(kinds[2:]) <= {"Dense", "Normalize"}
    if not known or modules[0].folder:
        raise ValueError(
            "modules.json must list a Transformer in the folder itself, a Pooling, and perhaps Dense and "
            f"Normalize. Received: {kinds}"
        )
    return modules[1:]


def _module(checkpoint: Checkpoint, kind: str, folder: str) -> Module:
    # A path could point outside the folder.
    if PurePath(folder).name != folder:
        raise ValueError(f"a module's path must be the name of a folder. Received: {folder!r}")
    path = checkpoint.folder / folder / "config.json"
    config = read_json(path) if folder and path.is_file() else {}
    return Module(kind, folder, config)


def encoder_settings(checkpoint: Checkpoint) -> dict[str, Any]:
    """Returns sentence-transformers' encoder settings, such as max_seq_length, or an empty dictionary."""
    found = sorted(checkpoint.folder.glob("sentence_*_config.json"))
    return read_json(found[0]) if found else {}


def add_modules(
    checkpoint: Checkpoint,
    modules: Sequence[Module],
    rows: keras.KerasTensor,
    tokens: keras.KerasTensor,
) -> keras.KerasTensor:
    """Adds the modules after an encoder.

    Args:
        checkpoint: the checkpoint with the modules.
        modules: the result of `read_modules`. The first is a Pooling.
        rows: (w, l, d), the encoder's output.
        tokens: (w, l), the encoder's input.

    Returns:
        (w, features).

    Raises:
        ValueError: If a module cannot be built.
    """
    vectors = TokenPooling(_poolings(modules[0].config), name="pool")(rows, tokens)
    for number, module in enumerate(modules[1:]):
        if module.kind == "Normalize":
            vectors = UnitLength(name=f"unit_length{number}")(vectors)
        else:
            vectors = _dense(checkpoint, module, vectors, f"dense{number}")
    return vectors


def _poolings(config: dict[str, Any]) -> list[str]:
    chosen = config.get("pooling_mode")
    if chosen is None:
        return [pooling for flag, pooling in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    return [chosen] if isinstance(chosen, str) else list(chosen)


def _dense(
    checkpoint: Checkpoint, module: Module, vectors: keras.KerasTensor, name: str
) -> keras.KerasTensor:
    folder = checkpoint.folder / module.folder
    paths = [
        folder / file for file in ("model.safetensors", "pytorch_model.bin") if (folder / file).is_file()
    ]
    if not paths:
        raise ValueError(f"{folder} must hold the weights of a dense layer. Received: none")
    activation = str(module.config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in _ACTIVATIONS or module.config.get("use_residual"):
        raise ValueError(
            f"a dense module's activation must be one of {list(_ACTIVATIONS)}, without a residual. Received: "
            f"{module.config}"
        )
    tensors = read_tensors(paths[0])
    if "linear.weight" not in tensors:
        raise ValueError(f"a dense module must hold linear.weight. Received: {sorted(tensors)}")
    kernel = tensors["linear.weight"].T
    bias = tensors.get("linear.bias")
    layer = layers.Dense(
        kernel.shape[1], activation=_ACTIVATIONS[activation], use_bias=bias is not None, name=name
    )
    dense = layer(vectors)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return dense
