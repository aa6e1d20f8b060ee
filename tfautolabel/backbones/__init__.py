"""Pretrained feature extractors, each selected by one string.

`sources` resolves the string; `backbone` is what it gives; `preprocessors` turn raw inputs into tensors
inside the graph; `packaged`, `keras_applications` and `saved_model` are the kinds of network behind it.
"""

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.backbones.sources import load_backbone

__all__ = ["Backbone", "load_backbone"]
