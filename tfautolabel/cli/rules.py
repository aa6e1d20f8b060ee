"""The commands for rules: `rules check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli.console import remark, show
from tfautolabel.cli.options import Data, Labels, Listing, Quiet, with_reading
from tfautolabel.runs import RunSettings

FORMAT = "\n\n".join(
    (
        "A file of rules is a table (CSV, Excel) or YAML with a line a rule:",
        "- label, pattern: the class, and what is looked for",
        "- kind: keyword, phrase, regex, list (a text file of terms), name (words of the file's name), field "
        "(a column equals the pattern), min, max; else keyword or phrase",
        "- field: text, a column of the table, name, folder, size (bytes), duration (seconds), length "
        "(characters)",
        "- rule: its name",
    )
)
"""The end of the help: the format of a file of rules."""


@with_reading
def check(
    rules: Annotated[
        Path,
        typer.Argument(
            help="File of rules: CSV, Excel or YAML; or Python code with labeling functions (.py), which is "
            "run."
        ),
    ],
    data: Data,
    labels: Labels = None,
    *,
    reading: Listing,
    out: Annotated[
        Path | None, typer.Option("--out", help="CSV file for the table, with all digits.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Show what rules do on data, and which of them need a look; with labels, how often they are right.

    Coverage, overlaps, conflicts: where a rule votes, others vote too, or vote otherwise, of all examples.
    """
    from tfautolabel.jobs.rules_check import check_rules

    settings = RunSettings(**reading)
    found = check_rules(
        rules, data, labels=labels, settings=settings, out=out, progress=not quiet, say=remark(quiet)
    )
    if quiet:
        return
    show(*str(found.table).splitlines(), "")
    share = found.covered / max(found.examples, 1)
    show(
        f"covered    {found.covered:,} of {found.examples:,} examples ({share:.0%}) have a vote",
        f"labels     {found.labelled:,} examples have a label",
        f"set aside  {found.unreadable:,} that could not be read",
        *([f"table      {out}"] if out is not None else []),
    )
    if not found.labelled:
        show("", "Without labels, nothing tells how often rules are right: --label-column, --labels.")
    show("", *(found.findings or ("No rule needs a look.",)))
