"""Converts raw inputs to tensors inside the graph, with the same operations in training and in serving."""

from tfautolabel.preprocessors.contract import Outside, Preprocessed, Preprocessor, WindowMean
from tfautolabel.preprocessors.pictures.image import ImagePreprocessor
from tfautolabel.preprocessors.pictures.unreadable import MAX_PIXELS
from tfautolabel.preprocessors.reasons import why_unreadable

__all__ = [
    "MAX_PIXELS",
    "ImagePreprocessor",
    "Outside",
    "Preprocessed",
    "Preprocessor",
    "WindowMean",
    "why_unreadable",
]
