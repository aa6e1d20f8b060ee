"""Tunes heads: keras-tuner searches over cached features, and cross-validation judges the heads."""

from tfautolabel.tuning.hypermodel import HeadHyperModel
from tfautolabel.tuning.search import HeadSearch, tune_head

__all__ = ["HeadHyperModel", "HeadSearch", "tune_head"]
