"""Pretrained feature extractors. One string selects each of them.

`sources` resolves the string to a `backbone`. `preprocessors` turn raw inputs into tensors inside the graph.
`packaged`, `keras_applications` and `saved_model` are kinds of networks. Names are resolved at their first
use, so listing the packaged backbones does not import TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfautolabel.backbones.backbone import Backbone
    from tfautolabel.backbones.sources import load_backbone

__all__ = ["Backbone", "load_backbone"]

_HOMES = {"Backbone": "backbone", "load_backbone": "sources"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
