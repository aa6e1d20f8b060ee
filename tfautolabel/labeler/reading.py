"""How a labeler reads examples: its backbone, how many at a time, and where their features are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tfautolabel._precision import AUTO
from tfautolabel._progress import progress_of
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.features import Extraction, FeatureExtractor
from tfautolabel.features.engines import EngineChoice, choose_engine

ExtractParts = Callable[[Iterable[Dataset], Callable[[int], None]], Iterator[Extraction]]
"""From parts of a pool, and what is called with the number of newly finished examples, to their features."""


@dataclass(frozen=True, eq=False)
class Reading:
    """Turns examples into features.

    Attributes:
        backbone: the feature extractor.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs; the package's cache by default.
        progress: shows a bar where standard error is a terminal.
        device: "auto", "cpu" or "gpu", as for `choose_engine`.
        precision: "auto", "float32", "bf16" or "float16", as for `choose_engine`.
    """

    backbone: Backbone
    batch_size: int = 32
    cache_dir: str | os.PathLike[str] | None = None
    progress: bool = True
    device: str = AUTO
    precision: str = AUTO

    @property
    def engine(self) -> EngineChoice:
        """The engine that computes the features; raises `ValueError` if the one asked for cannot be used."""
        return choose_engine(self.backbone, self.device, self.precision)

    def extract(self, dataset: Dataset) -> Extraction:
        """Returns the features of every example, computed or from the cache."""
        with progress_of(len(dataset), "extracting features", self.progress) as advance:
            return self.extractor().extract(dataset, advance)

    def extract_parts(self, parts: Iterable[Dataset], advance: Callable[[int], None]) -> Iterator[Extraction]:
        """Yields the features of each part, with the cache open for all of them."""
        extractor = self.extractor()
        for part in parts:
            yield extractor.extract(part, advance)

    def extractor(self) -> FeatureExtractor:
        """Returns the backbone with its cache open, for several data sets one after the other."""
        return FeatureExtractor(
            self.backbone, batch_size=self.batch_size, cache_dir=self.cache_dir, device=self.device,
            precision=self.precision,
        )  # fmt: skip

    def check_same(self, extraction: Extraction | None) -> None:
        """Refuses features that another engine computed in another precision.

        Raises:
            ValueError: If they are.
        """
        if extraction is not None and extraction.arithmetic != self.engine.arithmetic:
            raise ValueError(
                f"an extraction must be in this labeler's precision, {self.engine.arithmetic}: take it from "
                f"the labeler's extract. Received: one in {extraction.arithmetic}"
            )
