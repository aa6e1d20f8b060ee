"""Labels new data with an exported model; a killed job continues where it stopped."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._precision import FLOAT32
from tfautolabel._progress import progress_of
from tfautolabel._version import __version__
from tfautolabel.data import Dataset, Unreadable, load_dataset
from tfautolabel.data.addresses import opened, place_of
from tfautolabel.data.places import Place as Remote
from tfautolabel.data.remote_models import local_model
from tfautolabel.data.store_errors import is_of_store
from tfautolabel.data.workbooks import workbook_columns
from tfautolabel.data.writers import COLUMNS
from tfautolabel.jobs.digests import contents_digest, files_digest, names_digest
from tfautolabel.jobs.labelled_parts import LabelledParts, Part
from tfautolabel.jobs.merge import LabelResult, output_files, result_of, write_merged
from tfautolabel.jobs.plan import Plan
from tfautolabel.jobs.runners import runner_of
from tfautolabel.jobs.runners.contract import PartLabeler, Runner, Workers
from tfautolabel.jobs.shards import Listing, Shard
from tfautolabel.labels import check_min_confidence
from tfautolabel.runs.outputs import check_model, check_no_run, check_outputs

Place = str | os.PathLike[str]

PART_ROWS = 2048
"""Rows that are labelled before they are saved, of pools up to `MOST_PARTS` such parts; see `Plan`."""


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
    workers: int | None = None,
    address: str | None = None,
    shard: str | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> LabelResult:
    """Labels data with an exported model.

    Finished work is saved in a hidden folder beside the output, part by part, see `Plan`. If the job is
    killed, the same call continues there, and the output is equal to the byte. If the model, a setting or the
    list of rows has changed, the job starts again. Rows whose contents have changed are labelled again. The
    output appears whole at the end.

    Args:
        model: the folder of an exported model.
        data: what `load_dataset` takes.
        out: a .csv, .jsonl, .parquet or .xlsx file, and FILE.unreadable.csv is written beside it; or a folder
            for predictions.csv and unreadable.csv. Like the model and the data, it may be an address, such as
            "s3://bucket/labels.parquet".
        input_column: the column of texts, or of paths relative to the file; guessed by default.
        id_column: the column of names; one called `id` by default, else the row numbers, as with "none".
        modality: "image", "text" or "audio"; needed only if the data is not recognised correctly.
        encoding: the encoding of a table's text; detected by default.
        follow_links: whether links that lead out of a folder are followed.
        frame: of pictures with several frames, see `Dataset.with_frame`.
        min_confidence: in [0, 1], replaces the thresholds of the exported model.
        batch_size: examples in one call of the model.
        runner: where the rows are labelled: in this process ("local"), in several of this machine
            ("processes"), or on a Ray cluster that is there already ("ray").
        workers: how many processes label at a time; chosen by the cores that are there by default.
        address: the cluster that "ray" joins; the one that this machine belongs to by default.
        shard: "i/n" labels only the i-th of n shares of the rows, i from 1 to n, and keeps its labels beside
            the output, which `merge` writes when all n jobs have ended. They may run at the same time, on
            machines that share a file system.
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
    run = runner_of(runner, Workers(workers, address))
    share = None if shard is None else Shard.read(shard)
    target = place_of(out)
    labels_file, unreadable_file = output_files(target)
    inputs = [model, *([data] if isinstance(data, (str, os.PathLike)) else [])]
    folder = local_model(model)
    check_model(folder)
    check_no_run(labels_file)
    refuse_to_overwrite({labels_file: COLUMNS, unreadable_file: Unreadable._fields}, inputs)
    parts = LabelledParts(labels_file)
    with parts.alone() if share is None else parts.shared(share):
        # Imported late, because TensorFlow takes seconds to load: a mistake in the path shows first.
        from tfautolabel.export import load_exported

        labeler = load_exported(folder)
        dataset = load_dataset(
            data,
            None,
            input_column=input_column,
            id_column=id_column,
            exclude=[target, labels_file, unreadable_file, model],
            modality=modality,
            encoding=encoding,
            follow_links=follow_links,
            expected=labeler.modality,
        ).with_frame(frame)
        for note in [*dataset.notes, *learnt_in_another_precision(labeler.description)]:
            say(note)
        other = labeler.other_population(dataset)
        if other is not None:
            warnings.warn(unlike_the_run(other), stacklevel=2)
        plan = Plan.of(len(dataset), PART_ROWS)
        job = {
            "model": files_digest(labeler.folder),
            "list of rows": names_digest(dataset.ids),
            "settings": json.dumps([min_confidence, batch_size, frame, plan.part_rows]),
            "versions": json.dumps([__version__, version("tensorflow")]),
        }
        if share is not None:
            parts.join(job, Listing(len(dataset), plan.parts, share.count, dataset.unreadable))
        elif changed := parts.begin(job):
            say(
                f"labels of an interrupted job for {labels_file} are not used, because of another "
                f"{' and another '.join(changed)}"
            )
        origin = place_of(model)
        label_part = PartLabeler(
            labeler, min_confidence, batch_size, origin if isinstance(origin, Remote) else None
        )
        done = _label_parts(label_part, dataset, parts, plan, plan.numbers(share), run, progress, say)
        files = labels_file, unreadable_file
        result = result_of([part for part, _ in done], dataset.unreadable, *files, share is None)
        if share is None:
            write_merged(parts, plan.parts, result)
    return replace(result, kept=sum(kept for _, kept in done), other_population=other)


def _label_parts(
    label_part: PartLabeler,
    dataset: Dataset,
    parts: LabelledParts,
    plan: Plan,
    numbers: Sequence[int],
    run: Runner,
    progress: bool,
    say: Callable[[str], None],
) -> list[tuple[Part, int]]:
    """Returns each of some parts, and how many of its rows had been labelled before."""
    done: dict[int, tuple[Part, int]] = {}
    taken: deque[int] = deque()
    changed = 0
    total = sum(len(plan.part(number)) for number in numbers)

    def missing() -> Iterator[Dataset]:
        nonlocal changed
        for number in numbers:
            part = plan.part(number)
            rows = dataset.subset(np.arange(part.start, part.stop))
            found = parts.find(number)
            if found is not None and found.digest == contents_digest(rows):
                done[number] = found, len(rows)
                advance(len(rows))
                continue
            changed += 0 if found is None else len(rows)
            taken.append(number)
            yield rows

    with progress_of(total, "labelling", progress) as advance:
        for labels, digest in run(label_part, missing(), advance):
            number = taken.popleft()
            done[number] = parts.write(number, labels, digest), 0
    if kept := sum(rows for _, rows in done.values()):
        say(f"{kept:,} of {total:,} rows had been labelled before the job was interrupted")
    if changed:
        say(f"{changed:,} rows were labelled again, because some of them changed since")
    return [done[number] for number in sorted(done)]


def unlike_the_run(p_value: float) -> str:
    """Returns a warning of data that is of another population than that on which the labels were judged."""
    return (
        f"these examples are unlike those on which the model's labels were judged (p = {p_value:.2g}): how "
        "many of the accepted labels are right is not known; label a random sample of them and measure with "
        "`tfautolabel evaluate`, or run again with it"
    )


def learnt_in_another_precision(description: dict[str, Any]) -> list[str]:
    """Returns a sentence if a model's head was fitted to features in less than float32.

    Args:
        description: its labeler.json; those of earlier versions name no engine.
    """
    engine = description.get("engine", {})
    if engine.get("precision", FLOAT32) == FLOAT32:
        return []
    return [
        f"this model was fitted to features in {engine['precision']} and computes in float32: probabilities "
        f"of its recorded examples differ by up to {engine['difference_to_model']:.2g} from the run's"
    ]


def refuse_to_overwrite(outputs: dict[Path | Remote, tuple[str, ...]], inputs: list[Place]) -> None:
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


def _columns_of(file: Path | Remote) -> tuple[str, ...] | None:
    """Returns the columns of a table that this package may have written; None if it is no such table."""
    try:
        if file.suffix.lower() == ".xlsx":
            return workbook_columns(file)
        if file.suffix.lower() == ".parquet":
            import pyarrow.parquet as pq

            with opened(file) as source:
                return tuple(pq.read_schema(source).names)
        line = _first_line(file)
        found = json.loads(line) if file.suffix.lower() == ".jsonl" else next(csv.reader([line]), ())
        return tuple(found)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        if isinstance(file, Remote) and is_of_store(error):
            raise
        return None


def _first_line(file: Path | Remote) -> str:
    if isinstance(file, Remote):
        with file.open() as stream:
            start = bytes(stream.read(min(1 << 16, stream.size())))
        return start.partition(b"\n")[0].decode("utf-8") + "\n"
    with file.open(encoding="utf-8", newline="") as text:
        return text.readline(1 << 16)
