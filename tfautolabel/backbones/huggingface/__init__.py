"""Loads checkpoints in Hugging Face's format into our own networks, without PyTorch and transformers."""

from tfautolabel.backbones.huggingface.load import FAMILIES, load_hugging_face

__all__ = ["FAMILIES", "load_hugging_face"]
