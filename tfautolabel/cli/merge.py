"""The command that joins the labels of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.options import Quiet


def merge(
    out: Annotated[
        Path, typer.Argument(help="The --out that the jobs with --shard were given.", show_default=False)
    ],
    quiet: Quiet = False,
) -> None:
    """Write the labels of all shards of `label --shard` into their file."""
    from tfautolabel.jobs.merge import merge as merge_job

    done = merge_job(out)
    if not quiet:
        summaries.show_labels(done)
