"""The command that ranks sources of features: `rank`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tfautolabel._visible import visible_json
from tfautolabel.cli.console import remark, row, show, table
from tfautolabel.cli.options import (
    BatchSize,
    CacheDir,
    Data,
    Device,
    Frame,
    Labelled,
    Labels,
    Listing,
    LongText,
    Seed,
    with_reading,
)
from tfautolabel.runs import RunSettings

if TYPE_CHECKING:
    from tfautolabel.jobs.rank import SourceTable

DEFAULTS = RunSettings()


@with_reading
def rank(
    data: Data,
    labels: Labels = None,
    labelled: Labelled = None,
    *,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            "--candidates",
            help="Backbone to rank besides the packaged ones, as for --backbone of run; may be repeated.",
        ),
    ] = None,
    reading: Listing,
    frame: Frame = DEFAULTS.frame,
    long_text: LongText = DEFAULTS.long_text,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    device: Device = DEFAULTS.device,
    cache_dir: CacheDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no remarks.")] = False,
) -> None:
    """Score sources of features on the labels: packaged backbones, given ones, and none.

    mean, 3-nn: share right by the nearest class mean, and by three neighbours.

    head: share right of the default head, cross-validated.

    LogME, H, NLEEP: scores of the literature; LogME only for equal d.

    d, ms: how many features an example has, and their time here (- if cached).
    """
    from tfautolabel.jobs.rank import rank as rank_job

    settings = RunSettings(
        **reading,
        frame=frame,
        long_text=long_text,
        seed=seed,
        batch_size=batch_size,
        device=device,
    )
    found = rank_job(
        data,
        labels=labels,
        labelled=labelled,
        candidates=candidates or (),
        settings=settings,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if as_json:
        text = json.dumps(found.to_dict(), indent=2, ensure_ascii=False)
        sys.stdout.write(visible_json(text) + "\n")
        return
    show_ranking(found)


def show_ranking(found: SourceTable) -> None:
    """Shows a row for each source, the choice, and a warning if transfer does not help."""
    columns = "source", "mean", "3-nn", "head", "LogME", "H", "NLEEP", "d", "ms"
    lines = table(*columns, whole={"source"})
    for one in found.sources:
        lines.add_row(
            *row(
                one.handle,
                f"{one.nearest_mean:.3f}",
                f"{one.neighbours:.3f}",
                f"{one.accuracy:.3f}",
                *(_number(score) for score in (one.log_evidence, one.h_score, one.nleep)),
                one.feature_dim,
                "-" if one.milliseconds is None else f"{one.milliseconds:.1f}",
            )
        )
    show(
        lines,
        "",
        f"on {found.examples:,} labelled examples of {len(found.classes):,} classes",
        f"auto takes {found.choice}: --backbone {found.choice}",
        *([found.warning] if found.warning else []),
    )


def _number(score: float | None) -> str:
    return "none" if score is None else f"{score:.2f}"
