"""Finds the examples of a run again, to show some of them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tfautolabel.data import Dataset
from tfautolabel.data.addresses import place_of
from tfautolabel.report.media import BUDGET, Medium, read_media
from tfautolabel.runs.inputs import Inputs, Source, read_again


@dataclass(frozen=True, eq=False)
class Originals:
    """The data of a run, as far as it still exists.

    Attributes:
        labelled: the labelled examples, or None.
        pool: the other examples, or None.
        notes: sentences about data that is missing.
    """

    labelled: Dataset | None
    pool: Dataset | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, inputs: Inputs, record: dict[str, Any]) -> Originals:
        """Returns the data of a run that has just ended, without listing it again.

        Args:
            inputs: the inputs that the run has read.
            record: the content of run.json.
        """
        return cls(inputs.examples, inputs.pool, _changed(record["inputs"]["data"], record))

    def media(
        self, labelled: Sequence[str], pool: Sequence[str]
    ) -> tuple[dict[str, Medium], dict[str, Medium], tuple[str, ...]]:
        """Small copies of some examples.

        Args:
            labelled: ids of labelled examples.
            pool: ids of others.

        Returns:
            Id to medium for both kinds, and sentences about missing examples.
        """
        found = []
        share = BUDGET // max(len(labelled) + len(pool), 1)
        for dataset, names in ((self.labelled, labelled), (self.pool, pool)):
            try:
                found.append({} if dataset is None else read_media(dataset, names, share * len(names)))
            except OSError:
                found.append({})
        gone = sum(name not in found[0] for name in labelled) + sum(name not in found[1] for name in pool)
        notes = self.notes
        if gone and not notes:
            notes = (f"{gone:,} of the examples shown here are no longer where the run found them.",)
        return found[0], found[1], notes


def find_originals(record: dict[str, Any], out: Path, data: object = None) -> Originals:
    """Finds the data that a run's record names.

    Args:
        record: the content of run.json.
        out: the run's folder, which is not part of the data.
        data: the data, if it is not where the record says: a `Dataset`, or what `load_dataset` takes.

    Returns:
        The data that was found; nothing is read yet.
    """
    if isinstance(data, Dataset):
        return Originals(data, data)
    source = Source.from_record(record)
    if data is not None:
        source = replace(source, data=data)
    place = source.data
    if isinstance(place, str) and not _is_there(place):
        reason = f"The originals are no longer at {place}, so this page shows their names only."
        return Originals(None, None, (reason,))
    try:
        labelled, pool = read_again(source, out)
    except (OSError, ValueError, TypeError) as error:
        return Originals(None, None, (f"The originals cannot be opened again: {error}.",))
    return Originals(labelled, pool, _changed(place, record))


def _is_there(place: str) -> bool:
    try:
        return place_of(place).exists()
    except OSError:
        return False


def _changed(place: Any, record: dict[str, Any]) -> tuple[str, ...]:
    """Warns if a table was changed after the run began: row numbers may then mean other rows."""
    with contextlib.suppress(OSError, TypeError, KeyError, ValueError):
        written = place_of(place)
        # The record stores whole seconds.
        begun = datetime.fromisoformat(record["started"]).timestamp() + 1
        if written.is_file() and written.stat().st_mtime > begun:
            return (f"{place} was changed after the run: the examples shown may not be those it labelled.",)
    return ()
