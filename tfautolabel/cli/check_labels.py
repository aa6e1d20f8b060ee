"""The command that looks for wrong labels among the given ones: `check-labels`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfautolabel.cli.console import remark, row, show, table
from tfautolabel.cli.options import (
    Balanced,
    BatchSize,
    CacheDir,
    Data,
    Labelled,
    Labels,
    Quiet,
    Reading,
    Sampling,
    Seed,
    with_reading,
)
from tfautolabel.runs import RunSettings

if TYPE_CHECKING:
    from tfautolabel.jobs.label_check import LabelCheck

DEFAULTS = RunSettings()

SHOWN = 12
"""How many labels the terminal shows; check_labels.csv has all of them."""


@with_reading
def check_labels(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    labels: Labels = None,
    labelled: Labelled = None,
    *,
    reading: Reading,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    balanced: Balanced = False,
    sampling: Sampling = DEFAULTS.sampling,
    quiet: Quiet = False,
) -> None:
    """List given labels that are probably wrong, about how many are, and files that occur twice.

    No label is changed. Correct the column given of check_labels.csv, and hand that file back with --labels.
    """
    from tfautolabel.jobs.check_labels import check_labels as check_labels_job

    settings = RunSettings(
        **reading,
        seed=seed,
        batch_size=batch_size,
        class_weight="balanced" if balanced else None,
        sampling=sampling,
    )
    found = check_labels_job(
        data,
        out,
        labels=labels,
        labelled=labelled,
        settings=settings,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        show_check(found, out)


def show_check(found: LabelCheck, out: Path) -> None:
    """Shows the labels to check first, about how many are wrong, and what occurs twice."""
    from tfautolabel.jobs.checked_files import DUPLICATES, TABLE, UNLIKE
    from tfautolabel.runs.files import UNREADABLE

    rows = found.quality.to_check
    lines = table("id", "given", "likelier", "score", numbers_from=3)
    for place in rows[:SHOWN].tolist():
        given, likelier = found.given[place], found.quality.likelier[place]
        score = f"{found.quality.scores[place]:.3f}"
        lines.add_row(*row(found.examples.ids[place], found.classes[given], found.classes[likelier], score))
    show(f"{found.sentence()}.", "")
    if len(rows):
        show(lines, *([f"and {len(rows) - SHOWN:,} more"] if len(rows) > SHOWN else []), "")
    number, copied = found.quality.number, sum(len(one.rows) for one in found.copies)
    differ = sum(found.given[one.first] != found.given[one.second] for one in found.near)
    show(
        *([] if number is None else [f"wrong      about {round(number):,} of {len(found.given):,} labels"]),
        f"copies     {copied:,} labels of examples that occur more than once",
        f"conflicts  {len(found.conflicts):,} of these examples have different labels",
        f"near       {len(found.near):,} pairs are nearly the same, {differ:,} of them with different labels",
        f"set aside  {len(found.unreadable):,} that could not be read: {out / UNREADABLE}",
        "",
        f"labels     {out / TABLE}",
        f"copies     {out / DUPLICATES}",
        f"unlike     {out / UNLIKE}",
        "",
        "Nothing was changed. Look at them on a page:",
        f"  tfautolabel review {shlex.quote(str(out))}",
        "Or correct the column given, then hand the file back:",
        f"  --labels {out / TABLE}",
    )
