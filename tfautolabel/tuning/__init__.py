"""Tuning of heads: keras-tuner's searches over cached features, judged by cross-validation."""

from tfautolabel.tuning.hypermodel import HeadHyperModel
from tfautolabel.tuning.search import HeadSearch, tune_head

__all__ = ["HeadHyperModel", "HeadSearch", "tune_head"]
