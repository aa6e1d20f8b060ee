"""Joins the labelled parts of a pool into one file, in their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tfautolabel._optional import require
from tfautolabel.data import LabelsWriter, Unreadable, write_unreadable
from tfautolabel.data.addresses import place_of
from tfautolabel.data.places import Place
from tfautolabel.data.writers import COLUMNS, WRITERS, Columns
from tfautolabel.jobs.labelled_parts import LabelledParts, Part
from tfautolabel.runs.files import PREDICTIONS_CSV, UNREADABLE

WRITE_ROWS = 65_536
"""Rows in a row group of the output; larger than a part, because Parquet is read in row groups."""

SHOWN = 8
"""How many shards a message names."""

OTHER_TABLES = frozenset((
    ".xls", ".xlsm", ".ods", ".json", ".ndjson", ".tsv", ".tab", ".txt", ".xml", ".html", ".htm",
    ".feather", ".arrow", ".pq", ".gz", ".zip", ".npy", ".pkl", ".tfrecord", ".db", ".sqlite",
))  # fmt: skip
"""Endings that nobody uses for folders."""


@dataclass(frozen=True, eq=False)
class LabelResult:
    """The results of labelling.

    Attributes:
        labels_file: the file with a row for each example that could be read.
        unreadable_file: the file of what was set aside, with reasons.
        total: how many rows have a label, accepted or not.
        accepted: how many of these are accepted.
        reasons: why the others are not accepted, with counts.
        unreadable: what was set aside.
        kept: how many rows got their labels from an interrupted job.
        merged: whether the files are written; those of a shard are not, until `merge`.
        other_population: the p-value that shows that the data is unlike that on which the model's labels were
            judged; None if nothing shows it, if there are fewer than 20 examples, and of `merge`: the job of
            each shard has warned.
    """

    labels_file: Path | Place
    unreadable_file: Path | Place
    total: int
    accepted: int
    reasons: Counter[str]
    unreadable: tuple[Unreadable, ...]
    kept: int = 0
    merged: bool = True
    other_population: float | None = None


def merge(out: str | Path) -> LabelResult:
    """Writes the labels of all shards of a job into its output; the output appears whole.

    Args:
        out: the output that the jobs with `shard=` were given.

    Returns:
        The results of all shards together.

    Raises:
        ValueError: If there are no labels of shards, or parts are missing; the message names their shards.
        BlockingIOError: If a job is still writing.
        OSError: If the output cannot be written.
    """
    files = output_files(place_of(out))
    parts = LabelledParts(files[0])
    if not parts.folder.is_dir():
        parts.listing()
    with parts.alone():
        listing = parts.listing()
        found = [parts.find(number) for number in range(listing.parts)]
        if missing := [number for number, part in enumerate(found) if part is None]:
            shards = sorted({number % listing.shards + 1 for number in missing})
            more = f" and {len(shards) - SHOWN} more" if len(shards) > SHOWN else ""
            raise ValueError(
                f"{len(missing):,} of {listing.parts:,} parts of {files[0]} are not labelled yet, of these "
                f"shards: {', '.join(f'{shard}/{listing.shards}' for shard in shards[:SHOWN])}{more}"
            )
        result = result_of([part for part in found if part is not None], listing.unreadable, *files)
        write_merged(parts, listing.parts, result)
    return replace(result, kept=listing.rows)


def result_of(
    done: Iterable[Part],
    listed: Iterable[Unreadable],
    labels_file: Path | Place,
    unreadable_file: Path | Place,
    merged: bool = True,
) -> LabelResult:
    """Returns what parts hold together.

    Args:
        done: the parts.
        listed: what was set aside before anything was labelled.
        labels_file: the output.
        unreadable_file: the file of what was set aside.
        merged: see `LabelResult`.
    """
    done = list(done)
    reasons: Counter[str] = Counter()
    for part in done:
        reasons.update(part.reasons)
    unreadable = sorted({*listed, *(item for part in done for item in part.unreadable)})
    total, accepted = sum(part.total for part in done), sum(part.accepted for part in done)
    return LabelResult(
        labels_file, unreadable_file, total, accepted, reasons, tuple(unreadable), merged=merged
    )


def write_merged(parts: LabelledParts, count: int, result: LabelResult) -> None:
    """Writes the files of a result and removes the parts.

    Args:
        parts: holds all parts.
        count: how many there are.
        result: names the files.

    Raises:
        OSError: If a file cannot be written; the parts stay.
    """
    write_unreadable(result.unreadable, result.unreadable_file)
    with LabelsWriter(result.labels_file) as writer:
        for columns in _joined(parts.read(count)):
            writer.write_columns(columns)
    parts.remove()


def _joined(parts: Iterator[Columns]) -> Iterator[Columns]:
    """Joins columns to at least `WRITE_ROWS` rows, except for the last."""
    waiting: Columns = tuple([] for _ in COLUMNS)
    for columns in parts:
        for column, more in zip(waiting, columns, strict=True):
            column.extend(more)
        if len(waiting[0]) >= WRITE_ROWS:
            yield waiting
            waiting = tuple([] for _ in COLUMNS)
    if waiting[0]:
        yield waiting


def output_files(out: Path | Place) -> tuple[Path | Place, Path | Place]:
    """Returns the files for labels and for what is set aside.

    Args:
        out: a file or a folder, as `label` takes it.

    Raises:
        ValueError: If a file exists in place of the folder, or a folder in place of the file.
        FileNotFoundError: If it is in a store, and the bucket does not exist.
    """
    to_file = out.suffix.lower() in WRITERS
    if not to_file and out.suffix.lower() in OTHER_TABLES and not out.is_dir():
        raise ValueError(
            f"labels are written to a file that ends in {', '.join(WRITERS)}, or to a folder. Received: {out}"
        )
    if out.suffix.lower() == ".xlsx":
        require("openpyxl", extra="excel")
    labels_file = out if to_file else out / PREDICTIONS_CSV
    unreadable_file = out.with_name(f"{out.stem}.unreadable.csv") if to_file else out / UNREADABLE
    if isinstance(labels_file, Place):
        labels_file.check_bucket()
        folder: Path | Place = labels_file.parent
        is_blocked = folder.is_file()
    else:
        folder = next(parent for parent in labels_file.absolute().parents if parent.exists())
        is_blocked = not folder.is_dir()
    if is_blocked or labels_file.is_dir():
        blocking = labels_file if labels_file.is_dir() else folder
        kind = "folder" if labels_file.is_dir() else "file"
        raise ValueError(
            f"labels cannot be written to {labels_file}. Received: {blocking}, which is a {kind}"
        )
    return labels_file, unreadable_file
