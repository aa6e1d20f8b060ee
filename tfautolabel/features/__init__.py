"""Features of a data set: a frozen graph, decoding beside the forward pass, a cache that outlives the run."""

from tfautolabel.features.extract import Extraction, FeatureExtractor, extract_features

__all__ = ["Extraction", "FeatureExtractor", "extract_features"]
