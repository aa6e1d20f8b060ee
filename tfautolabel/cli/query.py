"""The command that lists what a person should label next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import question_summaries
from tfautolabel.cli.console import remark
from tfautolabel.cli.options import (
    BatchSize,
    CacheDir,
    Classes,
    Describe,
    Labelled,
    Labels,
    Quiet,
    Reading,
    Seed,
    descriptions_of,
    with_reading,
)
from tfautolabel.runs import RunSettings

DEFAULTS = RunSettings()


@with_reading
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
            help="uncertainty-herding, margin, margin-diverse, herding, typiclust, badge, variance, "
            "random, or sequential for the order of the data.",
        ),
    ] = "uncertainty-herding",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that exists, with the answers in it.")
    ] = False,
    labels: Labels = None,
    labelled: Labelled = None,
    describe: Describe = None,
    classes: Classes = None,
    *,
    reading: Reading,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
) -> None:
    """List the examples whose labels teach most, to fill in and hand to run with --labels."""
    from tfautolabel.jobs.query import query_list

    settings = RunSettings(
        **reading,
        seed=seed,
        batch_size=batch_size,
    )
    found = query_list(
        data,
        out,
        n,
        labels=labels,
        labelled=labelled,
        descriptions=descriptions_of(describe, classes),
        strategy=strategy,
        settings=settings,
        overwrite=overwrite,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        question_summaries.show_query(found)
