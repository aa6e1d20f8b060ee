"""How a labeler reads examples: its backbone, how many at a time, and where their features are kept."""

from __future__ import annotations

import os
from dataclasses import dataclass

from tfautolabel._progress import progress_of
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.features import Extraction, FeatureExtractor


@dataclass(frozen=True, eq=False)
class Reading:
    """Turns examples into features.

    Attributes:
        backbone: the feature extractor.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs; the package's cache by default.
        progress: shows a bar where standard error is a terminal.
    """

    backbone: Backbone
    batch_size: int = 32
    cache_dir: str | os.PathLike[str] | None = None
    progress: bool = True

    def extract(self, dataset: Dataset) -> Extraction:
        """Returns the features of every example, computed or from the cache."""
        with progress_of(len(dataset), "extracting features", self.progress) as advance:
            return self.extractor().extract(dataset, advance)

    def extractor(self) -> FeatureExtractor:
        """Returns the backbone with its cache open, for several data sets one after the other."""
        return FeatureExtractor(self.backbone, batch_size=self.batch_size, cache_dir=self.cache_dir)
