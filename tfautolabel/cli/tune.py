"""The command that searches for the best head: `tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfautolabel.cli.console import remark, row, show, table
from tfautolabel.cli.options import (
    Balanced,
    BatchSize,
    CacheDir,
    Data,
    IdColumn,
    InputColumn,
    LabelColumn,
    Labels,
    Modality,
    Quiet,
    Seed,
)

if TYPE_CHECKING:
    from tfautolabel.jobs.tune import TuneResult


def tune(
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the results; an interrupted search there goes on.")
    ],
    labels: Labels = None,
    input_column: InputColumn = None,
    label_column: LabelColumn = None,
    id_column: IdColumn = None,
    modality: Modality = None,
    backbone: Annotated[
        str | None,
        typer.Option("--backbone", help="As for run; by default the modality's own."),
    ] = None,
    tuner: Annotated[str, typer.Option("--tuner", help="random, bayesian or hyperband.")] = "random",
    trials: Annotated[int, typer.Option("--trials", help="How many heads are tried.")] = 30,
    seed: Seed = 0,
    batch_size: BatchSize = 32,
    cache_dir: CacheDir = None,
    balanced: Balanced = False,
    transfer: Annotated[
        str,
        typer.Option(
            "--transfer", help="What learns, as for run; with model, how to fine-tune is searched for too."
        ),
    ] = "feature",
    quiet: Quiet = False,
) -> None:
    """Search for the best head by cross-validation on labelled data, and export a model with it."""
    from tfautolabel.jobs.tune import tune as tune_job

    result = tune_job(
        data,
        out,
        labels=labels,
        input_column=input_column,
        label_column=label_column,
        id_column=id_column,
        modality=modality,
        backbone=backbone,
        tuner=tuner,
        trials=trials,
        seed=seed,
        batch_size=batch_size,
        cache_dir=cache_dir,
        class_weight="balanced" if balanced else None,
        transfer=transfer,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        show_search(result)


SHOWN = 10
"""How many of the completed trials the terminal shows; trials.csv has all."""


def show_search(result: TuneResult) -> None:
    """The best trials and those that failed, what came out, and where all is."""
    rows = sorted(
        (found for found in result.search.rows if found.loss is not None), key=lambda found: found.loss
    )
    shown = rows[:SHOWN] + [found for found in rows[SHOWN:] if found.name == "default"]
    failed = [found for found in result.search.rows if found.error]
    trials = table("trial", "log loss", "accuracy", "hyperparameters")
    for found in shown:
        accuracy = "" if found.accuracy is None else f"{found.accuracy:.1%}"
        trials.add_row(*row(found.name, f"{found.loss:.4f}", accuracy, _told(found.values)))
    for found in failed:
        trials.add_row(*row(found.name, "failed", "", found.error))
    trials.columns[-1].justify = "left"
    cross_validation = result.record["cross_validation"]
    low, high = cross_validation["accuracy_interval_95"]
    show(
        trials,
        "",
        result.search.reason,
        "",
        f"accuracy   {cross_validation['accuracy']:.1%} on the {cross_validation['examples']:,} labelled "
        f"examples, each predicted without having been seen (95 % interval {low:.1%} to {high:.1%})",
        f"trials     {result.out / 'trials.csv'}, {result.out / 'trials.svg'}",
        f"logs       tensorboard --logdir {result.out / 'tensorboard'}",
        f"model      {result.model}",
        f"record     {result.out / 'tune.json'}",
    )


def _told(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.removeprefix('tuner/')} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
