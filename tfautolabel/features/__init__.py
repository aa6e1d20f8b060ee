"""Features of a data set: a frozen graph, decoding in parallel, and a cache on disk."""

from tfautolabel.features.extract import Extraction, FeatureExtractor, extract_features

__all__ = ["Extraction", "FeatureExtractor", "extract_features"]
