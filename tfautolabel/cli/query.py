"""The command that lists what a person should label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark
from tfautolabel.cli.options import (
    Backbone,
    BatchSize,
    CacheDir,
    Encoding,
    FollowLinks,
    Frame,
    IdColumn,
    InputColumn,
    LabelColumn,
    Labelled,
    Labels,
    LabelValues,
    LongText,
    Modality,
    Quiet,
    Seed,
)
from tfautolabel.runs import RunSettings

DEFAULTS = RunSettings()


def query(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of results that `tfautolabel run` wrote; or a folder of files or a table, without "
            "any labels or with some."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="CSV file to write, with the columns id, label, reason, and text for texts."
        ),
    ],
    n: Annotated[int, typer.Option("-n", help="How many examples to ask about.")] = 20,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            help="uncertainty-herding, margin, margin-diverse, herding, typiclust, badge, variance or "
            "random.",
        ),
    ] = "uncertainty-herding",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists, with the answers in it.")
    ] = False,
    labels: Labels = None,
    labelled: Labelled = None,
    input_column: InputColumn = DEFAULTS.input_column,
    label_column: LabelColumn = DEFAULTS.label_column,
    id_column: IdColumn = DEFAULTS.id_column,
    modality: Modality = DEFAULTS.modality,
    label_values: LabelValues = DEFAULTS.label_values,
    encoding: Encoding = DEFAULTS.encoding,
    follow_links: FollowLinks = DEFAULTS.follow_links,
    frame: Frame = DEFAULTS.frame,
    backbone: Backbone = DEFAULTS.backbone,
    long_text: LongText = DEFAULTS.long_text,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
) -> None:
    """List the examples whose labels teach most, to fill in and hand to run with --labels."""
    from tfautolabel.jobs.query import query_list

    settings = RunSettings(
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        modality=modality,
        label_values=label_values,
        encoding=encoding,
        follow_links=follow_links,
        frame=frame,
        backbone=backbone,
        long_text=long_text,
        seed=seed,
        batch_size=batch_size,
    )
    found = query_list(
        data,
        out,
        n,
        labels=labels,
        labelled=labelled,
        strategy=strategy,
        settings=settings,
        overwrite=overwrite,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        summaries.show_query(found)
