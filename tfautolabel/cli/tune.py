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
    Labelled,
    Labels,
    Quiet,
    Reading,
    Sampling,
    Seed,
    TimeBudget,
    Transfer,
    with_reading,
)
from tfautolabel.runs import RunSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfautolabel.jobs.tune import TuneResult
    from tfautolabel.tuning.trials import TrialRow

DEFAULTS = RunSettings()


@with_reading
def tune(
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the results; an interrupted search there goes on.")
    ],
    labels: Labels = None,
    labelled: Labelled = None,
    *,
    reading: Reading,
    tuner: Annotated[str, typer.Option("--tuner", help="random, bayesian or hyperband.")] = DEFAULTS.tuner,
    trials: Annotated[int, typer.Option("--trials", help="How many heads are tried.")] = DEFAULTS.trials,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    balanced: Balanced = False,
    sampling: Sampling = DEFAULTS.sampling,
    transfer: Transfer = DEFAULTS.transfer,
    time_budget: TimeBudget = None,
    quiet: Quiet = False,
) -> None:
    """Search for the best head by cross-validation on labelled data, and export a model with it.

    With --transfer model, how the backbone is fine-tuned is searched for too.
    """
    from tfautolabel.jobs.tune import tune as tune_job

    settings = RunSettings(
        **reading,
        tuner=tuner,
        trials=trials,
        seed=seed,
        batch_size=batch_size,
        class_weight="balanced" if balanced else None,
        sampling=sampling,
        transfer=transfer,
        time_budget=time_budget,
    )
    result = tune_job(
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
        show_search(result)


SHOWN = 10
"""How many completed trials the terminal shows; trials.csv has all of them."""


def show_search(result: TuneResult) -> None:
    """Shows the best trials, the failed ones, the result, and where the files are."""
    head, fine_tuning = result.searches.head, result.searches.fine_tuning
    cross_validation = result.record["cross_validation"]
    low, high = cross_validation["accuracy_interval_95"]
    lines: list[Any] = [_trials(head.rows), "", head.reason, ""]
    if fine_tuning is not None:
        lines += [_trials(fine_tuning.rows), "", fine_tuning.reason, ""]
    transfer = result.record["transfer"]
    if transfer["asked"] != "feature":
        lines += [f"heads were tried on the features of the backbone as it came; {transfer['why']}", ""]
    show(
        *lines,
        f"accuracy   {cross_validation['accuracy']:.1%} on the {cross_validation['examples']:,} labelled "
        f"examples, each predicted without having been seen (95 % interval {low:.1%} to {high:.1%})",
        f"trials     {result.out / 'trials.csv'}, {result.out / 'trials.svg'}",
        f"logs       tensorboard --logdir {result.out / 'tensorboard'}",
        f"model      {result.model}",
        f"record     {result.out / 'tune.json'}",
    )


def _trials(found: Sequence[TrialRow]) -> Any:
    completed = sorted((one for one in found if one.loss is not None), key=lambda one: one.loss or 0.0)
    shown = completed[:SHOWN] + [one for one in completed[SHOWN:] if one.name == "default"]
    trials = table("trial", "log loss", "accuracy", "hyperparameters")
    for one in shown:
        accuracy = "" if one.accuracy is None else f"{one.accuracy:.1%}"
        trials.add_row(*row(one.name, f"{one.loss:.4f}", accuracy, _told(one.values)))
    for one in found:
        if one.error:
            trials.add_row(*row(one.name, "failed", "", one.error))
    trials.columns[-1].justify = "left"
    return trials


def _told(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.removeprefix('tuner/')} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
