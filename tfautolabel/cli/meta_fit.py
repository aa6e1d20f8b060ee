"""The command that learns from earlier labelled sets: `meta-fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli.console import remark, show
from tfautolabel.cli.options import CacheDir, Quiet, Seed


def meta_fit(
    data: Annotated[
        list[Path],
        typer.Argument(help="Earlier sets: folders with a folder for each class, or tables with labels."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for what was learnt.")],
    backbone: Annotated[
        str, typer.Option("--backbone", help="Whose features later sets use, such as packaged:resemblyzer.")
    ],
    method: Annotated[
        str, typer.Option("--method", help="How it learns: whitening, prototypes, ridge or maml.")
    ] = "whitening",
    seed: Seed = 0,
    cache_dir: CacheDir = None,
    quiet: Quiet = False,
) -> None:
    """Learn from earlier labelled sets how to scale features, for run --meta-learner on later ones."""
    from tfautolabel.jobs.meta_fit import meta_fit as meta_fit_job

    learner = meta_fit_job(
        data,
        out,
        backbone=backbone,
        method=method,
        seed=seed,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        examples = sum(task["examples"] for task in learner.tasks_)
        sets = "1 set" if len(learner.tasks_) == 1 else f"{len(learner.tasks_)} sets"
        show(f"learnt from {examples:,} examples of {sets}: run … --meta-learner {out}")
        show(learner.worth_["why"])
