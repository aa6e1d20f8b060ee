"""The command that labels with an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark
from tfautolabel.cli.options import (
    Address,
    BatchSize,
    Data,
    Encoding,
    Engine,
    FollowLinks,
    Frame,
    IdColumn,
    InputColumn,
    Modality,
    Model,
    Quiet,
    WorkerCount,
)


def label(
    model: Model,
    data: Data,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="A .csv, .jsonl, .parquet or .xlsx file, or a folder for predictions.csv, unreadable.csv; "
            "here or in a bucket, as MODEL and DATA may be.",
        ),
    ],
    input_column: InputColumn = None,
    id_column: IdColumn = None,
    modality: Modality = None,
    encoding: Encoding = None,
    follow_links: FollowLinks = False,
    frame: Frame = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence", help="0 to 1, instead of the thresholds that the model was exported with."
        ),
    ] = None,
    batch_size: BatchSize = 32,
    runner: Engine = "local",
    workers: WorkerCount = None,
    address: Address = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="i/n, such as 2/8: label one of n shares of the rows, for batch systems; the command merge "
            "joins them.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Label new files with an exported model; the same command goes on where a killed one was."""
    from tfautolabel.jobs.label import label as label_job

    done = label_job(
        model,
        data,
        out,
        input_column=input_column,
        id_column=id_column,
        modality=modality,
        encoding=encoding,
        follow_links=follow_links,
        frame=frame,
        min_confidence=min_confidence,
        batch_size=batch_size,
        runner=runner,
        workers=workers,
        address=address,
        shard=shard,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        summaries.show_labels(done)
