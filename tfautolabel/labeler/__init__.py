"""The labeler, which combines backbone, features, head and export, and the Keras model inside it."""

from tfautolabel.labeler.choose import select_backbone
from tfautolabel.labeler.labeler import Labeler
from tfautolabel.labeler.model import build_model

__all__ = ["Labeler", "build_model", "select_backbone"]
