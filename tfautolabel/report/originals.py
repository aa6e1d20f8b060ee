"""Finds again what a run labelled, to show some of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tfautolabel.data import Dataset
from tfautolabel.report.media import BUDGET, Medium, read_media
from tfautolabel.runs.inputs import Inputs, Source, read_again


@dataclass(frozen=True, eq=False)
class Originals:
    """The data of a run, as far as they are still there.

    Attributes:
        labelled: where the labelled examples are, or None.
        pool: where the others are, or None.
        notes: sentences on what is not there.
    """

    labelled: Dataset | None
    pool: Dataset | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, inputs: Inputs, record: dict[str, Any]) -> Originals:
        """Those of a run that is just over: what it has listed is not listed again.

        Args:
            inputs: what the run has read.
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
            Id to medium for either, and sentences on what is missing.
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
    """The data that a run's record names.

    Args:
        record: the content of run.json.
        out: the run's folder, which is no part of the data.
        data: where the data are, if elsewhere than the record says: a `Dataset`, or what `load_dataset`
            takes.

    Returns:
        What could be found; nothing is read yet.
    """
    if isinstance(data, Dataset):
        return Originals(data, data)
    source = Source.from_record(record)
    if data is not None:
        source = replace(source, data=data)
    place = source.data
    if isinstance(place, str) and not Path(place).exists():
        reason = f"The originals are no longer at {place}, so this page shows their names only."
        return Originals(None, None, (reason,))
    try:
        labelled, pool = read_again(source, out)
    except (OSError, ValueError, TypeError) as error:
        return Originals(None, None, (f"The originals cannot be opened again: {error}.",))
    return Originals(labelled, pool, _changed(place, record))


def _changed(place: Any, record: dict[str, Any]) -> tuple[str, ...]:
    """Says so where a table was written after the run began; row numbers may then name other rows."""
    with contextlib.suppress(OSError, TypeError, KeyError, ValueError):
        written = Path(place)
        # The record has whole seconds.
        begun = datetime.fromisoformat(record["started"]).timestamp() + 1
        if written.is_file() and written.stat().st_mtime > begun:
            return (f"{place} was changed after the run: the examples shown may not be those it labelled.",)
    return ()
