"""Raw inputs to tensors, inside the graph: the same operations in training and in a served model."""

from tfautolabel.backbones.preprocessors.image import ImagePreprocessor
from tfautolabel.backbones.preprocessors.unreadable import MAX_PIXELS, why_unreadable

__all__ = ["MAX_PIXELS", "ImagePreprocessor", "why_unreadable"]
