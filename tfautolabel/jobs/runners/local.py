"""The runner that labels in this process, one part after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.contract import Advance
from tfautolabel.labels import Labels


def label_here(
    label: Callable[[Dataset, Advance], tuple[Labels, str]],
    parts: Iterable[Dataset],
    advance: Advance,
) -> Iterator[tuple[Labels, str]]:
    """Labels each part when its labels are asked for; see `Runner`.

    The model reads and decodes the next batch while one is in the network, so one process keeps all cores
    busy.
    """
    for part in parts:
        yield label(part, advance)
