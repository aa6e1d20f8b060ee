"""Labels new data with an exported model; a killed job continues where it stopped."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfautolabel._optional import require
from tfautolabel._progress import progress_of
from tfautolabel._version import __version__
from tfautolabel.data import Dataset, LabelsWriter, Unreadable, load_dataset, write_unreadable
from tfautolabel.data.workbooks import workbook_columns
from tfautolabel.data.writers import COLUMNS, WRITERS, Columns
from tfautolabel.jobs.labelled_parts import (
    LabelledParts,
    Part,
    contents_digest,
    files_digest,
    names_digest,
)
from tfautolabel.jobs.runners import runner_of
from tfautolabel.jobs.runners.contract import PartLabeler, Runner
from tfautolabel.labels import check_min_confidence
from tfautolabel.runs.files import PREDICTIONS_CSV, UNREADABLE
from tfautolabel.runs.outputs import check_model, check_no_run, check_outputs

if TYPE_CHECKING:
    from tfautolabel.export import ExportedLabeler

Place = str | os.PathLike[str]

OTHER_TABLES = frozenset((
    ".xls", ".xlsm", ".ods", ".json", ".ndjson", ".tsv", ".tab", ".txt", ".xml", ".html", ".htm",
    ".feather", ".arrow", ".pq", ".gz", ".zip", ".npy", ".pkl", ".tfrecord", ".db", ".sqlite",
))  # fmt: skip
"""Endings that nobody uses for folders."""

PART_ROWS = 2048
"""Rows that are labelled before they are saved; a killed job loses at most this work."""

WRITE_ROWS = 65_536
"""Rows in a row group of the output; larger than a part, because Parquet is read in row groups."""


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
    """

    labels_file: Path
    unreadable_file: Path
    total: int
    accepted: int
    reasons: Counter[str]
    unreadable: tuple[Unreadable, ...]
    kept: int


def label(
    model: Place,
    data: object,
    out: Place,
    *,
    input_column: str | None = None,
    id_column: str | None = None,
    modality: str | None = None,
    encoding: str | None = None,
    follow_links: bool = False,
    frame: int | None = None,
    min_confidence: float | None = None,
    batch_size: int = 32,
    runner: str = "local",
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> LabelResult:
    """Labels data with an exported model.

    Finished work is saved in a hidden folder beside the output, `PART_ROWS` rows at a time. If the job is
    killed, the same call continues there, and the output is equal to the byte. If the model, a setting or the
    list of rows has changed, the job starts again. Rows whose contents have changed are labelled again. The
    output appears whole at the end.

    Args:
        model: the folder of an exported model.
        data: what `load_dataset` takes.
        out: a .csv, .jsonl, .parquet or .xlsx file, and FILE.unreadable.csv is written beside it; or a folder
            for predictions.csv and unreadable.csv.
        input_column: the column of texts, or of paths relative to the file; guessed by default.
        id_column: the column of names; one called `id` by default, else the row numbers, as with "none".
        modality: "image", "text" or "audio"; needed only if the data is not recognised correctly.
        encoding: the encoding of a table's text; detected by default.
        follow_links: whether links that lead out of a folder are followed.
        frame: of pictures with several frames, see `Dataset.with_frame`.
        min_confidence: in [0, 1], replaces the thresholds of the exported model.
        batch_size: examples in one call of the model.
        runner: where the rows are labelled, a name in `RUNNERS`; in this process by default.
        progress: shows a progress bar where standard error is a terminal.
        say: is called with each thing that was recognised, guessed or reused, one sentence at a time.

    Returns:
        The results.

    Raises:
        ValueError: If the input cannot be used, or an output is an input or a file of somebody else.
        FileNotFoundError: If a folder or file does not exist.
        BlockingIOError: If another process writes the same output.
        OSError: If the output cannot be written.
    """
    if min_confidence is not None:
        check_min_confidence(min_confidence)
    run = runner_of(runner)
    labels_file, unreadable_file = output_files(Path(out))
    inputs = [model, *([data] if isinstance(data, (str, os.PathLike)) else [])]
    check_model(Path(model))
    check_no_run(labels_file)
    refuse_to_overwrite({labels_file: COLUMNS, unreadable_file: Unreadable._fields}, inputs)
    parts = LabelledParts(labels_file)
    with parts.alone():
        # Imported late, because TensorFlow takes seconds to load: a mistake in the path shows first.
        from tfautolabel.export import load_exported

        labeler = load_exported(model)
        dataset = load_dataset(
            data,
            None,
            input_column=input_column,
            id_column=id_column,
            exclude=[out, labels_file, unreadable_file, model],
            modality=modality,
            encoding=encoding,
            follow_links=follow_links,
            expected=labeler.modality,
        ).with_frame(frame)
        for note in dataset.notes:
            say(note)
        changed = parts.begin(
            {
                "model": files_digest(labeler.folder),
                "list of rows": names_digest(dataset.ids),
                "settings": json.dumps([min_confidence, batch_size, frame, PART_ROWS]),
                "versions": json.dumps([__version__, version("tensorflow")]),
            }
        )
        if changed:
            say(
                f"labels of an interrupted job for {labels_file} are not used, because of another "
                f"{' and another '.join(changed)}"
            )
        done = _label_parts(labeler, dataset, parts, min_confidence, batch_size, run, progress, say)
        unreadable = sorted({*dataset.unreadable, *(item for part, _ in done for item in part.unreadable)})
        write_unreadable(unreadable, unreadable_file)
        with LabelsWriter(labels_file) as writer:
            for columns in _joined(parts.read(len(done))):
                writer.write_columns(columns)
        parts.remove()
    reasons: Counter[str] = Counter()
    for part, _ in done:
        reasons.update(part.reasons)
    return LabelResult(
        labels_file,
        unreadable_file,
        sum(part.total for part, _ in done),
        sum(part.accepted for part, _ in done),
        reasons,
        tuple(unreadable),
        sum(kept for _, kept in done),
    )


def _label_parts(
    labeler: ExportedLabeler,
    dataset: Dataset,
    parts: LabelledParts,
    min_confidence: float | None,
    batch_size: int,
    run: Runner,
    progress: bool,
    say: Callable[[str], None],
) -> list[tuple[Part, int]]:
    """Returns each part, and how many of its rows had been labelled before."""
    done: dict[int, tuple[Part, int]] = {}
    taken: deque[int] = deque()
    changed = 0

    def missing() -> Iterator[Dataset]:
        nonlocal changed
        for number, start in enumerate(range(0, len(dataset), PART_ROWS)):
            rows = dataset.subset(np.arange(start, min(start + PART_ROWS, len(dataset))))
            found = parts.find(number)
            if found is not None and found.digest == contents_digest(rows):
                done[number] = found, len(rows)
                advance(len(rows))
                continue
            changed += 0 if found is None else len(rows)
            taken.append(number)
            yield rows

    with progress_of(len(dataset), "labelling", progress) as advance:
        label_part = PartLabeler(labeler, min_confidence, batch_size)
        for labels, digest in run(label_part, missing(), advance):
            number = taken.popleft()
            done[number] = parts.write(number, labels, digest), 0
    if kept := sum(rows for _, rows in done.values()):
        say(f"{kept:,} of {len(dataset):,} rows had been labelled before the job was interrupted")
    if changed:
        say(f"{changed:,} rows were labelled again, because some of them changed since")
    return [done[number] for number in sorted(done)]


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


def output_files(out: Path) -> tuple[Path, Path]:
    """Returns the files for labels and for what is set aside.

    Args:
        out: a file or a folder, as `label` takes it.

    Raises:
        ValueError: If a file exists in place of the folder, or a folder in place of the file.
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
    folder = next(parent for parent in labels_file.absolute().parents if parent.exists())
    if not folder.is_dir() or labels_file.is_dir():
        blocking = labels_file if labels_file.is_dir() else folder
        kind = "folder" if labels_file.is_dir() else "file"
        raise ValueError(
            f"labels cannot be written to {labels_file}. Received: {blocking}, which is a {kind}"
        )
    return labels_file, unreadable_file


def refuse_to_overwrite(outputs: dict[Path, tuple[str, ...]], inputs: list[Place]) -> None:
    """Refuses to overwrite an input, or a file whose columns are not those of the new output.

    Args:
        outputs: file to its columns if it was written by this package.
        inputs: the files that are read.

    Raises:
        ValueError: If a file would be lost.
    """
    check_outputs(outputs, inputs)
    for file, columns in outputs.items():
        if file.exists() and file.stat().st_size and _columns_of(file) != columns:
            raise ValueError(
                f"{file} exists and was not written by this command, which would overwrite it: name another "
                "file, or move that one away"
            )


def _columns_of(file: Path) -> tuple[str, ...] | None:
    """Returns the columns of a table that this package may have written; None if it is no such table."""
    try:
        if file.suffix.lower() == ".xlsx":
            return workbook_columns(file)
        if file.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            return tuple(pq.read_schema(file).names)
        with file.open(encoding="utf-8", newline="") as stream:
            line = stream.readline(1 << 16)
        found = json.loads(line) if file.suffix.lower() == ".jsonl" else next(csv.reader([line]), ())
        return tuple(found)
    except (OSError, ValueError, TypeError, csv.Error):
        return None
