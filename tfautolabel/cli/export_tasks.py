"""The command that hands a run's examples to Label Studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import question_summaries
from tfautolabel.cli.console import remark
from tfautolabel.cli.options import Quiet


def export_tasks(
    out: Annotated[Path, typer.Argument(help="Folder of results that `tfautolabel run` wrote.")],
    to: Annotated[str, typer.Option("--to", help="The tool: label-studio.")] = "label-studio",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="JSON file to import there, label_studio.json by default; label_config.xml is written "
            "beside it. Files that exist are never overwritten.",
        ),
    ] = None,
    n: Annotated[
        int | None, typer.Option("-n", help="How many unlabelled examples to hand over; all by default.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            "--root",
            help="For pictures and sounds: the folder that Label Studio serves as local files "
            "(LOCAL_FILES_DOCUMENT_ROOT); the folder of the data by default.",
        ),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option("--prefix", help="For pictures and sounds elsewhere: the address before their paths."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a run's examples as tasks of Label Studio, with predictions, the least sure first.

    The ids of the examples are in the tasks (tal_id) and come back with the answers: hand Label Studio's
    export in its format JSON to run with --labels. Sort tasks by tal_uncertainty: the unsure first.
    """
    from tfautolabel.jobs.export_tasks import export_tasks as write_tasks

    found = write_tasks(out, output, to=to, n=n, root=root, prefix=prefix, say=remark(quiet))
    if not quiet:
        question_summaries.show_tasks(out, found)
