"""The runner that labels in this process, one part after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tfautolabel.data import Dataset
from tfautolabel.jobs.runners.contract import Advance, Result


def label_here(
    label: Callable[[Dataset, Advance], Result],
    parts: Iterable[Dataset],
    advance: Advance,
) -> Iterator[Result]:
    """Labels each part when its labels are asked for; see `Runner`.

    The model reads and decodes the next batch while one is in the network, so one process keeps all cores
    busy.
    """
    for part in parts:
        yield label(part, advance)
