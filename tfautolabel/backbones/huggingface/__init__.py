"""Checkpoints in Hugging Face's format as networks of our own, without PyTorch and transformers."""

from tfautolabel.backbones.huggingface.load import FAMILIES, load_hugging_face

__all__ = ["FAMILIES", "load_hugging_face"]
