"""The contract for every runner: where and in which order the parts of a pool are labelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tfautolabel.data import Dataset
from tfautolabel.jobs.labelled_parts import NotedReader
from tfautolabel.labels import Labels

if TYPE_CHECKING:
    from tfautolabel.export import ExportedLabeler

LOOK_AHEAD = 8
"""The most parts that a runner takes before their labels are asked for: labels of more are not in memory."""

Advance = Callable[[int], None]
"""Called with the number of newly finished examples."""


@dataclass(frozen=True, eq=False)
class PartLabeler:
    """Labels one part after the other with an exported model.

    A copy in another process, made with pickle, loads the model from its folder.

    Attributes:
        labeler: the model.
        min_confidence: in [0, 1], replaces the thresholds of the model.
        batch_size: examples in one call of the model.
    """

    labeler: ExportedLabeler
    min_confidence: float | None
    batch_size: int

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

    def __reduce__(self) -> tuple[Callable[..., PartLabeler], tuple[object, ...]]:
        return _loaded, (self.labeler.folder, self.min_confidence, self.batch_size)


def _loaded(folder: str, min_confidence: float | None, batch_size: int) -> PartLabeler:
    from tfautolabel.export import load_exported

    return PartLabeler(load_exported(folder), min_confidence, batch_size)


class Runner(Protocol):
    """Labels parts of a pool, here or elsewhere.

    It yields the result of `label(part, advance)` for each part, in the order of the parts. It takes a part
    from `parts` only when it begins with it, and at most `LOOK_AHEAD` parts before the first of them is
    yielded. An error is raised where its part would be yielded; the parts before it are yielded first. When
    the generator is closed, it takes no more parts. `advance` has been called for all examples of a part
    before the part is yielded.

    A part of a folder can be pickled. A part of a table holds an open file: what it reads can be sent.
    """

    def __call__(
        self,
        label: Callable[[Dataset, Advance], tuple[Labels, str]],
        parts: Iterable[Dataset],
        advance: Advance,
    ) -> Iterator[tuple[Labels, str]]:
        """See the class.

        Args:
            label: a `PartLabeler`, or what does the same.
            parts: parts of a pool.
            advance: called with the number of newly finished examples.
        """
