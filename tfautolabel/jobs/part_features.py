"""Computes the features of a pool's parts in other processes; see `tfautolabel.jobs.runners`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfautolabel._durable import CONTENT
from tfautolabel._scratch import scratch_folder
from tfautolabel.data import Dataset, Unreadable
from tfautolabel.jobs.digests import names_digest
from tfautolabel.jobs.runners.contract import Advance, Runner

if TYPE_CHECKING:
    from tfautolabel.features import Extraction, FeatureExtractor
    from tfautolabel.labeler.reading import ExtractParts, Reading


@dataclass(frozen=True)
class PartExtractor:
    """Extracts one part after the other. What it computes goes into the cache when a part is done.

    So a part that was begun by a process that died is computed as if nobody had begun it: the last digits of
    features depend on the batch that they are computed in.

    Attributes:
        backbone: the folder of the backbone, as `Backbone.save` wrote it.
        feature_dim: d.
        arithmetic: as in `Extraction`; features of other arithmetic are refused.
        options: further options of `FeatureExtractor`.
    """

    backbone: Path
    feature_dim: int
    arithmetic: str
    options: dict[str, Any]

    def __call__(self, part: Dataset, advance: Advance) -> tuple[Extraction, str]:
        """Returns the features of a part, and the digest of what was read."""
        found = self._extractor.extract(part, advance)
        return found, found.digest

    def set_aside(self, part: Dataset, reason: str) -> tuple[Extraction, str]:
        """Returns no features for a part."""
        from tfautolabel.features import Extraction

        aside = tuple(Unreadable(str(name), reason) for name in part.ids)
        none, digest = np.zeros((0, self.feature_dim), np.float32), names_digest(part.ids)
        rows = np.zeros(0, np.int64)
        return Extraction(rows, none, aside, 0, 0, 0, digest, arithmetic=self.arithmetic), ""

    @functools.cached_property
    def _extractor(self) -> FeatureExtractor:
        # Imported late: the process that hands out the parts makes no extractor.
        from tfautolabel.backbones import Backbone
        from tfautolabel.features import FeatureExtractor

        extractor = FeatureExtractor(Backbone.load(self.backbone), cache_whole=True, **self.options)
        if extractor.engine.arithmetic != self.arithmetic:
            raise ValueError(
                f"all workers must compute in {self.arithmetic}. Received: one that can only compute in "
                f"{extractor.engine.arithmetic}; name --device and --precision that all of them have"
            )
        return extractor


@contextmanager
def extracted_by(run: Runner | None, reading: Reading, folder: Path) -> Iterator[ExtractParts | None]:
    """Makes what extracts the parts of a pool by a runner.

    Args:
        run: the runner; None to extract in this process.
        reading: the backbone, as it is now, and how examples are read.
        folder: where the backbone is written for the workers, for as long as the block lasts.

    Yields:
        What `Fitted.extracted_parts` takes; None if there is no runner.
    """
    if run is None:
        yield None
        return
    with scratch_folder(folder) as scratch:
        place = (scratch / CONTENT / "backbone").absolute()
        reading.backbone.save(place)
        extract = PartExtractor(
            place,
            reading.backbone.feature_dim,
            reading.engine.arithmetic,
            {
                "batch_size": reading.batch_size,
                "cache_dir": None if reading.cache_dir is None else str(Path(reading.cache_dir).absolute()),
                # A worker that does not have what this process has chosen must not choose by itself.
                "device": reading.engine.device,
                "precision": reading.engine.precision,
            },
        )

        def parts_of(parts: Iterable[Dataset], advance: Advance) -> Iterator[Extraction]:
            for found, _ in run(extract, parts, advance):
                yield found

        yield parts_of
