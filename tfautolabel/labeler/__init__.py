"""The labeler, which composes backbone, features, head and export, and the Keras model inside it."""

from tfautolabel.labeler.labeler import MIN_CONFIDENCE, Labeler
from tfautolabel.labeler.model import build_model

__all__ = ["MIN_CONFIDENCE", "Labeler", "build_model"]
