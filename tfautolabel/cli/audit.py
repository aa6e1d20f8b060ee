"""The commands that continue from a run: `audit` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark, show
from tfautolabel.cli.options import Quiet

Out = Annotated[Path, typer.Argument(help="Folder of results that `tfautolabel run` wrote.")]


def audit(
    out: Out,
    audited: Annotated[
        Path | None,
        typer.Option(
            "--audited",
            help="The list with answers in the column correct: yes, no or the right label, in the order "
            "of the list.",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", help="How many items to list in all; by default what is needed."),
    ] = None,
    target_error: Annotated[
        float | None, typer.Option("--target-error", help="0 to 1; by default the run's, else 0.05.")
    ] = None,
    certify_confidence: Annotated[
        float | None, typer.Option("--certify-confidence", help="By default the run's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Decides which items are drawn; by default the run's.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """List labels of a run to look at, or certify the others by what was found (--audited)."""
    from tfautolabel.jobs import certify_run, draw_audit_list

    if audited is None:
        file, listed, needed = draw_audit_list(
            out,
            n=n,
            target_error=target_error,
            confidence=certify_confidence,
            seed=seed,
            say=remark(quiet),
        )
        if not quiet:
            summaries.show_list(out, file, listed, needed)
        return
    result = certify_run(out, audited, target_error=target_error, confidence=certify_confidence)
    if not quiet:
        summaries.show_audit(out, result)


def report(
    out: Out,
    data: Annotated[
        Path | None, typer.Option("--data", help="Where the examples are, if not where the run found them.")
    ] = None,
) -> None:
    """Write the report of a run again: one HTML file that needs nothing else."""
    from tfautolabel.report import write_report

    show(str(write_report(out, data)))
