"""The contract for every runner: where and in which order the parts of a pool are labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.places import Place
from tfautolabel.data.remote_models import fetched_again
from tfautolabel.jobs.digests import NotedReader
from tfautolabel.labels import Labels, Unreadable

if TYPE_CHECKING:
    from tfautolabel.export import ExportedLabeler

LOOK_AHEAD = 4
"""The most parts for each worker that a runner takes before the labels of the first of them are asked for."""

Advance = Callable[[int], None]
"""Called with the number of newly finished examples."""


@dataclass(frozen=True)
class Workers:
    """The processes that a runner uses.

    Attributes:
        count: how many; None for what the runner thinks best.
        address: the cluster that the runner joins, as its library writes it; None for the runner's default.

    Raises:
        ValueError: If there is less than one.
    """

    count: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"workers must be at least 1. Received: workers={self.count}")


AS_THEY_ARE = Workers()
"""As many workers as the runner thinks best."""


@dataclass(frozen=True, eq=False)
class PartLabeler:
    """Labels one part after the other with an exported model.

    A copy in another process, made with pickle, loads the model from its folder.

    Attributes:
        labeler: the model.
        min_confidence: in [0, 1], replaces the thresholds of the model.
        batch_size: examples in one call of the model.
        origin: the store that the model was fetched from; other machines fetch it there too.
    """

    labeler: ExportedLabeler
    min_confidence: float | None
    batch_size: int
    origin: Place | None = None

    def __call__(self, part: Dataset, advance: Advance) -> tuple[Labels, str]:
        """Returns the labels of a part, and the `NotedReader.digest` of the contents that were labelled."""
        noted = NotedReader(part.reader)
        labels = self.labeler.label(
            Dataset(noted, part.ids, modality=part.modality),
            min_confidence=self.min_confidence,
            batch_size=self.batch_size,
            advance=advance,
        )
        return labels, noted.digest

    def set_aside(self, part: Dataset, reason: str) -> tuple[Labels, str]:
        """Returns no labels for a part, and a digest that no contents have: the next job tries it again."""
        aside = [Unreadable(str(name), reason) for name in part.ids]
        return Labels.from_probabilities([], np.zeros(0), self.labeler.classes, unreadable=aside), ""

    def __reduce__(self) -> tuple[Callable[..., PartLabeler], tuple[object, ...]]:
        folder = Path(self.labeler.folder).absolute()
        return _loaded, (folder, self.min_confidence, self.batch_size, self.origin)


def _loaded(
    folder: Path, min_confidence: float | None, batch_size: int, origin: Place | None = None
) -> PartLabeler:
    from tfautolabel.export import load_exported

    if origin is not None and not folder.is_dir():
        folder = fetched_again(origin, folder)
    return PartLabeler(load_exported(folder), min_confidence, batch_size)


Result = tuple[Any, str]
"""What was made of a part, such as its labels, and a digest of the contents that it was made from."""


class Runner(Protocol):
    """Labels parts of a pool, or does something else with each, here or elsewhere.

    It yields the result of `label(part, advance)` for each part, in the order of the parts. It takes a part
    from `parts` only when it begins with it, and at most `LOOK_AHEAD` parts for each of its workers before
    the first of them is yielded. An error is raised where its part would be yielded; the parts before it are
    yielded first. When the generator is closed, it takes no more parts. `advance` has been called for all
    examples of a part before the part is yielded.

    `narrowed` makes a reader of a part that can be sent to another process.
    """

    def __call__(
        self,
        label: Callable[[Dataset, Advance], Result],
        parts: Iterable[Dataset],
        advance: Advance,
    ) -> Iterator[Result]:
        """See the class.

        Args:
            label: a `PartLabeler`, or what makes something else of a part.
            parts: parts of a pool.
            advance: called with the number of newly finished examples.
        """
