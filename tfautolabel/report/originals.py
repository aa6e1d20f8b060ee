"""Finds again what a run labelled, to show some of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.report.media import BUDGET, Medium, read_media


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


def find_originals(record: dict[str, Any], out: Path, data: Any = None) -> Originals:
    """The data that a run's record names.

    Args:
        record: the content of run.json.
        out: the run's folder, which is no part of the data.
        data: where the data are, if elsewhere than the record says: a `Dataset`, or what `load_dataset`
            takes.

    Returns:
        What could be found; nothing is read yet.
    """
    inputs = record["inputs"]
    modality = inputs.get("modality")
    columns = {f"{name}_column": value for name, value in (inputs.get("columns") or {}).items()}
    if isinstance(data, Dataset):
        return Originals(data, data)
    place, labels, train = (
        (data if data is not None else inputs["data"]),
        inputs["labels"],
        inputs["labelled"],
    )
    if isinstance(place, str) and not Path(place).exists():
        reason = f"The originals are no longer at {place}, so this page shows their names only."
        return Originals(None, None, (reason,))
    others = [path for path in (out, labels, train) if path is not None]
    try:
        if train is None:
            wanted = None if labels is not None or _is_folder(place) else "auto"
            whole = load_dataset(place, wanted, exclude=others, modality=modality, **columns)
            return Originals(whole, whole, _changed(place, out))
        unlabelled = {name: value for name, value in columns.items() if name != "label_column"}
        pool = load_dataset(place, None, exclude=others, modality=modality, **unlabelled)
        labelled = None
        with contextlib.suppress(OSError, ValueError):
            how = "folder" if _is_folder(train) else "auto"
            labelled = load_dataset(train, how, exclude=[out], modality=modality, **columns)
        return Originals(labelled, pool, _changed(place, out))
    except (OSError, ValueError, TypeError) as error:
        return Originals(None, None, (f"The originals cannot be opened again: {error}.",))


def _is_folder(place: Any) -> bool:
    return isinstance(place, (str, Path)) and Path(place).is_dir()


def _changed(place: Any, out: Path) -> tuple[str, ...]:
    """Says so where a table was written after the run; row numbers may then name other rows."""
    with contextlib.suppress(OSError, TypeError):
        written = Path(place)
        if written.is_file() and written.stat().st_mtime > (out / "run.json").stat().st_mtime:
            return (f"{place} was changed after the run: the examples shown may not be those it labelled.",)
    return ()
