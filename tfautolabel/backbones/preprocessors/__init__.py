"""Raw inputs to tensors, inside the graph: the same operations in training and in a served model."""

from tfautolabel.backbones.preprocessors.contract import Preprocessed, Preprocessor, WindowMean
from tfautolabel.backbones.preprocessors.image import ImagePreprocessor
from tfautolabel.backbones.preprocessors.reasons import why_unreadable
from tfautolabel.backbones.preprocessors.unreadable import MAX_PIXELS

__all__ = [
    "MAX_PIXELS",
    "ImagePreprocessor",
    "Preprocessed",
    "Preprocessor",
    "WindowMean",
    "why_unreadable",
]
